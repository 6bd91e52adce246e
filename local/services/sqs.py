"""Keeping SQS's queues and every message with its count of receipts and the times when it is seen again."""

import base64
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from threading import Condition, RLock
from typing import Any

import moto.sqs.models
from moto.sqs.models import Message, Queue, sqs_backends

from local.services.asked import Asked
from local.services.cabinet import Cabinet, Kept
from local.template.pseudo import ACCOUNT, REGION

_READS = ("Get", "List")
_QUEUE = "queue.json"
_SETTINGS = {
    *("DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "VisibilityTimeout"),
    *("FifoQueue", "ContentBasedDeduplication"),
}


class SqsShelf:
    """Keeps a file for each queue and each message. `lock` is the one that is held while a call changes anything."""

    def __init__(self, folder: Path, lock: RLock) -> None:
        self._cabinet = Cabinet(folder)
        # moto loses messages that are sent while others are deleted, so calls take turns. Who waits for a message lets
        # go of the lock meanwhile: the conditions that moto makes for its queues are made of it.
        vars(moto.sqs.models)["Condition"] = partial(Condition, lock)

    def changes(self, environ: Mapping[str, Any]) -> bool:
        asked = Asked.of(environ)
        # A bucket may tell a queue of its objects. Receiving counts, and moves what was received too often.
        return (asked.service == "sqs" and not asked.call.startswith(_READS)) or asked.writes_objects

    def save(self) -> None:
        self._cabinet.keep(dict(_things()))

    def load(self) -> None:
        messages: dict[str, list[Message]] = {}
        settings: dict[str, dict[str, Any]] = {}
        for path, content in self._cabinet.read():
            name, _, file = path.partition("/")
            if file == _QUEUE:
                settings[name] = json.loads(content)
            else:
                messages.setdefault(name, []).append(_message(content))
        for name, saved in settings.items():
            _restore(sqs_backends[ACCOUNT][REGION].create_queue(name, **saved["settings"]), messages.get(name, []))
        for name, saved in settings.items():
            sqs_backends[ACCOUNT][REGION].queues[name]._setup_dlq(saved["redrive"])
        self._cabinet.adopt(dict(_things()))


def _things() -> Iterator[tuple[str, Kept]]:
    for queue in list(sqs_backends[ACCOUNT][REGION].queues.values()):
        saved = _saved(queue)
        yield f"{queue.name}/{_QUEUE}", Kept(saved, saved.encode)
        for one in list(queue._messages):
            state = (one.approximate_receive_count, one.receipt_handle, one.visible_at, one.delayed_until)
            yield f"{queue.name}/{one.id}", Kept(state, partial(_content, one))


def _saved(queue: Queue) -> str:
    attributes = queue.attributes
    settings = {key: value for key, value in attributes.items() if key in _SETTINGS}
    return json.dumps({"settings": settings, "redrive": queue.redrive_policy or {}})


def _content(message: Message) -> bytes:
    return json.dumps(vars(message), default=lambda value: {"base64": base64.b64encode(value).decode()}).encode()


def _message(content: bytes) -> Message:
    fields = json.loads(content, object_hook=lambda found: base64.b64decode(found["base64"]) if found.keys() == {"base64"} else found)
    message = Message(fields["id"], fields["body"])
    vars(message).update(fields)
    return message


def _restore(queue: Queue, messages: list[Message]) -> None:
    queue._messages = sorted(messages, key=lambda message: message.sent_timestamp or 0)
    queue._pending_messages = {message for message in messages if not message.visible}
