"""An SQS queue, with SQS's errors translated to ours."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import batched
from typing import Any

from parley.aws.client import aws_client, translated_errors
from parley.errors import Unavailable
from parley.observability import current_correlation_id
from parley.observability.invocations import CORRELATION_ID
from parley.observability.traces import TRACEPARENT, current_traceparent
from parley.snapshots import before_snapshot

# SQS's limit for one call.
_MAX_BATCH = 10


@dataclass(frozen=True, slots=True)
class SqsMessage:
    """A message, visible after `delay_s` (15 minutes at most)."""

    body: str
    delay_s: float = 0.0

    def entry(self, id: str) -> dict[str, Any]:
        """Return the message as an entry of a batch."""
        content = {"Id": id, "MessageBody": self.body, "MessageAttributes": _attributes()}
        return content | {"DelaySeconds": math.ceil(self.delay_s)}


class SqsQueue:
    """The queue at this URL. Each message carries the correlation id of the work that sent it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def prepare(self) -> None:
        """Create the client that all queues of this process share, without connecting to SQS."""
        _sqs()

    def put(self, body: str, *, delay_s: float = 0) -> None:
        """Send a message, visible after `delay_s` (15 minutes at most). Raises Unavailable if it was not sent."""
        with translated_errors(_unavailable):
            _sqs().send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=math.ceil(delay_s), MessageAttributes=_attributes())

    def put_all(self, messages: Iterable[SqsMessage]) -> int:
        """Send many messages and return their number. Raises Unavailable if any message may be lost; the others may still arrive."""
        count = 0
        for batch in batched(messages, _MAX_BATCH, strict=False):
            entries = [message.entry(str(number)) for number, message in enumerate(batch)]
            with translated_errors(_unavailable):
                response = _sqs().send_message_batch(QueueUrl=self._url, Entries=entries)
            if response.get("Failed"):  # reported in a response with status 200
                raise Unavailable("queue")
            count += len(entries)
        return count

    def show_again(self, receipt_handle: str, *, delay_s: float) -> None:
        """Make a received message visible after `delay_s` instead of at the end of its visibility timeout. Raises Unavailable."""
        with translated_errors(_unavailable):
            _sqs().change_message_visibility(QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=math.ceil(delay_s))


def _attributes() -> dict[str, dict[str, str]]:
    values = {CORRELATION_ID: current_correlation_id(), TRACEPARENT: current_traceparent()}
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items() if value}


def _unavailable(_code: str, _error: Exception) -> Unavailable:
    return Unavailable("queue")


@cache
def _sqs() -> Any:
    return aws_client("sqs", read_timeout_s=3)


before_snapshot(_sqs.cache_clear)
