"""A snapshot of SQS: queues, and every message with its receive count and visibility times."""

import base64
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from threading import Condition, RLock
from typing import Any

import moto.sqs.models
from moto.sqs.models import Message, Queue, sqs_backends

from local.services.fake_aws.request import AwsRequest
from local.services.fake_aws.snapshot import SnapshotFolder, StoredItem
from local.template.pseudo import ACCOUNT, REGION

_READ_CALLS = ("Get", "List")
_QUEUE_FILE = "queue.json"

_SAVED_ATTRIBUTES = {
    *("DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "VisibilityTimeout"),
    *("FifoQueue", "ContentBasedDeduplication"),
}


class SqsSnapshot:
    """Stores a file for each queue and each message. `lock` is held during every call that changes state."""

    def __init__(self, folder: Path, lock: RLock) -> None:
        self._files = SnapshotFolder(folder)
        # moto loses messages that are sent while others are deleted, so the lock serialises calls. A call that waits for a
        # message must release the lock, so the conditions of moto's queues use the same lock.
        vars(moto.sqs.models)["Condition"] = partial(Condition, lock)

    def changes(self, environ: Mapping[str, Any]) -> bool:
        request = AwsRequest.of(environ)
        # A bucket may notify a queue. Receiving increases receive counts and may move messages to the dead-letter queue.
        return (request.service == "sqs" and not request.call.startswith(_READ_CALLS)) or request.writes_objects

    def save(self) -> None:
        self._files.replace_all(dict(_stored_items()))

    def load(self) -> None:
        messages: dict[str, list[Message]] = {}
        settings: dict[str, dict[str, Any]] = {}
        for path, content in self._files.read():
            name, _, file = path.partition("/")
            if file == _QUEUE_FILE:
                settings[name] = json.loads(content)
            else:
                messages.setdefault(name, []).append(_message_from(content))
        for name, saved in settings.items():
            _restore_queue(sqs_backends[ACCOUNT][REGION].create_queue(name, **saved["settings"]), messages.get(name, []))
        for name, saved in settings.items():
            sqs_backends[ACCOUNT][REGION].queues[name]._setup_dlq(saved["redrive"])
        self._files.mark_saved(dict(_stored_items()))


def _stored_items() -> Iterator[tuple[str, StoredItem]]:
    for queue in list(sqs_backends[ACCOUNT][REGION].queues.values()):
        saved = _queue_content(queue)
        yield f"{queue.name}/{_QUEUE_FILE}", StoredItem(saved, saved.encode)
        for message in list(queue._messages):
            state = (message.approximate_receive_count, message.receipt_handle, message.visible_at, message.delayed_until)
            yield f"{queue.name}/{message.id}", StoredItem(state, partial(_message_content, message))


def _queue_content(queue: Queue) -> str:
    attributes = queue.attributes
    settings = {key: value for key, value in attributes.items() if key in _SAVED_ATTRIBUTES}
    return json.dumps({"settings": settings, "redrive": queue.redrive_policy or {}})


def _message_content(message: Message) -> bytes:
    return json.dumps(vars(message), default=lambda value: {"base64": base64.b64encode(value).decode()}).encode()


def _message_from(content: bytes) -> Message:
    fields = json.loads(content, object_hook=lambda value: base64.b64decode(value["base64"]) if value.keys() == {"base64"} else value)
    message = Message(fields["id"], fields["body"])
    vars(message).update(fields)
    return message


def _restore_queue(queue: Queue, messages: list[Message]) -> None:
    queue._messages = sorted(messages, key=lambda message: message.sent_timestamp or 0)
    queue._pending_messages = {message for message in messages if not message.visible}
