"""SQS event source mappings: poll queues, invoke functions with batches, and delete the messages that succeeded.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html and …/services-sqs-errorhandling.html
"""

import asyncio
import json
import time
from collections.abc import Coroutine, Iterable
from itertools import batched
from typing import Any, Protocol

from local.runtime.fleet import Fleet
from local.runtime.outcome import Failure, HandlerResult, Outcome, Stream
from local.services.moto import AwsClient
from local.services.supervisor import ServiceFailed
from local.template.pseudo import REGION, queue_arn
from local.template.stack import EventSource

# A message in the format of ReceiveMessage.
type SqsMessage = dict[str, Any]
_MAX_MESSAGES_PER_CALL = 10
_RETRY_S = 1.0
_POLL_S = 0.2


def batch_event(source: EventSource, messages: list[SqsMessage]) -> bytes:
    """Return the SQS event for a batch of messages."""
    return json.dumps({"Records": [_sqs_record(source, message) for message in messages]}).encode()


def failed_ids(source: EventSource, messages: list[SqsMessage], outcome: Outcome) -> set[str]:
    """Return the ids of the messages to deliver again: no ids, the ids that the function reported, or all ids."""
    all_ids = {message["MessageId"] for message in messages}
    if not isinstance(outcome, HandlerResult):
        return all_ids
    if not source.reports_failures:
        return set()
    reported = _reported_ids(outcome.payload)
    return all_ids if reported is None or reported - all_ids else reported


def batch_failure(outcome: Outcome) -> str | None:
    """Return why a whole batch failed, or None if the function returned a result."""
    return f"{outcome.error_type}: {outcome.message}" if isinstance(outcome, Failure) else None


def _reported_ids(payload: bytes) -> set[str] | None:
    """Return the ids in a partial batch response, or None if the payload is invalid."""
    try:
        answer = json.loads(payload)
        failures = (answer or {}).get("batchItemFailures") or []
        ids = {failure["itemIdentifier"] for failure in failures}
    except (ValueError, AttributeError, TypeError, KeyError):
        return None
    return ids if all(isinstance(message_id, str) and message_id for message_id in ids) else None


def _sqs_record(source: EventSource, message: SqsMessage) -> dict[str, Any]:
    attributes = message.get("MessageAttributes", {})
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {name: _message_attribute(value) for name, value in attributes.items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn(source.queue),
        "awsRegion": REGION,
    }
    return record | ({"md5OfMessageAttributes": message["MD5OfMessageAttributes"]} if attributes else {})


def _message_attribute(value: dict[str, Any]) -> dict[str, Any]:
    fields = {"stringValue": value.get("StringValue"), "binaryValue": value.get("BinaryValue"), "dataType": value["DataType"]}
    return {"stringListValues": [], "binaryListValues": [], **{key: field for key, field in fields.items() if field is not None}}


class BatchLog(Protocol):
    """Logs batches, and queues that cannot be read."""

    def batch_done(self, source: EventSource, *, count: int, failed: int, reason: str | None) -> None: ...

    def queue_unreadable(self, source: EventSource, reason: str) -> None: ...


class QueuePollers:
    """Invokes functions with messages from their queues. SQS delivers failed messages again after the visibility timeout."""

    def __init__(self, aws: AwsClient, *, fleet: Fleet, log: BatchLog) -> None:
        self._aws = aws
        self._fleet = fleet
        self._log = log
        self._work: set[asyncio.Task[None]] = set()

    async def run(self, sources: Iterable[EventSource]) -> None:
        """Poll all enabled sources until cancelled. Batches received by then are still processed."""
        async with asyncio.TaskGroup() as polling:
            for source in sources:
                if source.is_enabled:
                    polling.create_task(self._poll(source))

    async def stop(self) -> None:
        """Cancel the batches in progress; SQS delivers their messages again after the visibility timeout."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _poll(self, source: EventSource) -> None:
        free = asyncio.Semaphore(source.concurrency)
        is_down = False
        while True:
            await free.acquire()
            try:
                while not await self._aws.wait_for_message(source.queue):
                    pass
                # Shielded from cancellation, because a message that is received but not processed stays invisible until its timeout.
                await asyncio.shield(self._spawn(self._process_batch(source, free)))
                is_down = False
            except ServiceFailed as error:
                free.release()
                if not is_down:
                    self._log.queue_unreadable(source, str(error))
                is_down = True
                await asyncio.sleep(_RETRY_S)

    async def _process_batch(self, source: EventSource, free: asyncio.Semaphore) -> None:
        messages = await self._receive(source)
        if messages:
            self._spawn(self._consume(source, messages)).add_done_callback(lambda _: free.release())
        else:
            # Another poller received the message, SQS moved it to the dead-letter queue, or it waits for its FIFO message group.
            await asyncio.sleep(_POLL_S)
            free.release()

    async def _receive(self, source: EventSource) -> list[SqsMessage]:
        """Return the messages available now; with a batching window, collect until the batch is full or the window ends."""
        ends = time.monotonic() + source.window_s
        messages: list[SqsMessage] = []
        while True:
            count = min(_MAX_MESSAGES_PER_CALL, source.batch_size - len(messages))
            # moto accepts the name of a queue as its URL.
            request = {"QueueUrl": source.queue, "MaxNumberOfMessages": count, "WaitTimeSeconds": 0}
            answer = await self._aws.sqs("ReceiveMessage", **request, AttributeNames=["All"], MessageAttributeNames=["All"])
            messages += answer.get("Messages", [])
            if len(messages) >= source.batch_size or time.monotonic() >= ends:
                return messages
            await asyncio.sleep(_POLL_S)

    async def _consume(self, source: EventSource, messages: list[SqsMessage]) -> None:
        invocation = self._fleet.submit(source.function, batch_event(source, messages))
        outcome = await asyncio.shield(invocation.outcome)
        if isinstance(outcome, Stream):
            outcome.abandon()
        failed = failed_ids(source, messages, outcome)
        self._log.batch_done(source, count=len(messages), failed=len(failed), reason=batch_failure(outcome))
        await self._delete(source, [message for message in messages if message["MessageId"] not in failed])

    async def _delete(self, source: EventSource, messages: list[SqsMessage]) -> None:
        try:
            for part in batched(messages, _MAX_MESSAGES_PER_CALL, strict=False):
                entries = [{"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]} for index, message in enumerate(part)]
                await self._aws.sqs("DeleteMessageBatch", QueueUrl=source.queue, Entries=entries)
        except ServiceFailed as error:
            self._log.queue_unreadable(source, str(error))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task
