"""An SQS queue, with SQS's errors translated to ours, and the processing of a batch of its messages."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import batched
from typing import Any

from parley.aws.client import aws_client, translated_errors
from parley.errors import NotFound, Unavailable
from parley.observability import begin_log_context, current_correlation_id, logger
from parley.observability.invocations import CORRELATION_ID, message_attribute, message_correlation_id
from parley.observability.settings import settings
from parley.observability.traces import TRACEPARENT, current_traceparent, unit_of_work
from parley.snapshots import before_snapshot

type BatchFailures = dict[str, list[dict[str, str]]]

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


def process_messages(records: Iterable[dict[str, Any]], *, handle: Callable[[str], None]) -> BatchFailures:
    """Pass each record's body to `handle`, and return the failed messages in the form that Lambda's SQS event source reads.

    Only failed messages are delivered again, and a message that raises NotFound is done. Each message is logged under its sender's
    correlation id, else under the invocation's.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchitemfailures
    """
    invocation_id, failed = current_correlation_id(), []
    for record in records:
        begin_log_context(message_correlation_id(record) or invocation_id)
        with unit_of_work(f"process {settings.service}", kind="consumer", traceparent=message_attribute(record, TRACEPARENT)) as span:
            span.set({"messaging.system": "aws_sqs", "messaging.operation.type": "process", "messaging.message.id": record["messageId"]})
            if not _is_processed(record, handle):
                failed.append(record["messageId"])
    begin_log_context(invocation_id)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _is_processed(record: dict[str, Any], handle: Callable[[str], None]) -> bool:
    message_id = record["messageId"]
    try:
        handle(record["body"])
    except NotFound as exc:
        logger.info("job_skipped", message_id=message_id, reason=str(exc))
    except Exception:
        # The body is never logged: it may contain an address.
        logger.exception("job_failed", message_id=message_id)
        return False
    else:
        logger.info("job_completed", message_id=message_id)
    return True


def _attributes() -> dict[str, dict[str, str]]:
    values = {CORRELATION_ID: current_correlation_id(), TRACEPARENT: current_traceparent()}
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items() if value}


def _unavailable(_code: str, _error: Exception) -> Unavailable:
    return Unavailable("queue")


@cache
def _sqs() -> Any:
    return aws_client("sqs", read_timeout_s=3)


before_snapshot(_sqs.cache_clear)
