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

# A message as ReceiveMessage answers it.
type SqsMessage = dict[str, Any]
_MAX_MESSAGES_PER_CALL = 10
_PAUSE_S = 1.0
_STEP_S = 0.2


def batch_event(source: EventSource, messages: list[SqsMessage]) -> bytes:
    """Return what the function gets."""
    return json.dumps({"Records": [_sqs_record(source, message) for message in messages]}).encode()


def failed_ids(source: EventSource, messages: list[SqsMessage], outcome: Outcome) -> set[str]:
    """Return the ids of the messages that come again: none, those that the function names, or all."""
    everything = {message["MessageId"] for message in messages}
    if not isinstance(outcome, HandlerResult):
        return everything
    if not source.reports_failures:
        return set()
    named = _reported_ids(outcome.payload)
    return everything if named is None or named - everything else named


def batch_failure(outcome: Outcome) -> str | None:
    """Return why a whole batch failed, or None if the function answered."""
    return f"{outcome.error_type}: {outcome.message}" if isinstance(outcome, Failure) else None


def _reported_ids(payload: bytes) -> set[str] | None:
    """Return the ids that a partial batch response names; None for what is not one."""
    try:
        answer = json.loads(payload)
        failures = (answer or {}).get("batchItemFailures") or []
        ids = {failure["itemIdentifier"] for failure in failures}
    except (ValueError, AttributeError, TypeError, KeyError):
        return None
    return ids if all(isinstance(one, str) and one for one in ids) else None


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
    named = {"stringValue": value.get("StringValue"), "binaryValue": value.get("BinaryValue"), "dataType": value["DataType"]}
    return {"stringListValues": [], "binaryListValues": [], **{key: one for key, one in named.items() if one is not None}}


class BatchLog(Protocol):
    """Gets one line for each batch, and for each time that a queue can no longer be read."""

    def batch_done(self, source: EventSource, *, count: int, failed: int, trouble: str | None) -> None: ...

    def queue_unreadable(self, source: EventSource, reason: str) -> None: ...


class QueuePollers:
    """Gives functions the messages of their queues. What fails is left in its queue and comes again by itself."""

    def __init__(self, aws: AwsClient, *, fleet: Fleet, log: BatchLog) -> None:
        self._aws = aws
        self._fleet = fleet
        self._log = log
        self._work: set[asyncio.Task[None]] = set()

    async def run(self, sources: Iterable[EventSource]) -> None:
        """Read until cancelled; batches that were taken go on to their end."""
        async with asyncio.TaskGroup() as reading:
            for source in sources:
                if source.is_enabled:
                    reading.create_task(self._read(source))

    async def stop(self) -> None:
        """Drop what functions work on: it comes again when its visibility time-out is over."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _read(self, source: EventSource) -> None:
        free = asyncio.Semaphore(source.concurrency)
        is_down = False
        while True:
            await free.acquire()
            try:
                while not await self._aws.wait_for_message(source.queue):
                    pass
                # Not to be broken off: a message that is taken and given to nobody stays away for long.
                await asyncio.shield(self._spawn(self._take(source, free)))
                is_down = False
            except ServiceFailed as error:
                free.release()
                if not is_down:
                    self._log.queue_unreadable(source, str(error))
                is_down = True
                await asyncio.sleep(_PAUSE_S)

    async def _take(self, source: EventSource, free: asyncio.Semaphore) -> None:
        messages = await self._receive(source)
        if messages:
            self._spawn(self._consume(source, messages)).add_done_callback(lambda _: free.release())
        else:
            # Somebody else has it, or it went to the dead letters. Messages of a group that wait for one another are there and not given.
            await asyncio.sleep(_STEP_S)
            free.release()

    async def _receive(self, source: EventSource) -> list[SqsMessage]:
        """Return a batch: what is there, or what comes within the window until the batch is full."""
        ends = time.monotonic() + source.window_s
        messages: list[SqsMessage] = []
        while True:
            most = min(_MAX_MESSAGES_PER_CALL, source.batch_size - len(messages))
            # The function finds a queue by its name as well as by its address.
            wanted = {"QueueUrl": source.queue, "MaxNumberOfMessages": most, "WaitTimeSeconds": 0}
            answer = await self._aws.sqs("ReceiveMessage", **wanted, AttributeNames=["All"], MessageAttributeNames=["All"])
            messages += answer.get("Messages", [])
            if len(messages) >= source.batch_size or time.monotonic() >= ends:
                return messages
            await asyncio.sleep(_STEP_S)

    async def _consume(self, source: EventSource, messages: list[SqsMessage]) -> None:
        invocation = self._fleet.submit(source.function, batch_event(source, messages))
        outcome = await asyncio.shield(invocation.outcome)
        if isinstance(outcome, Stream):
            outcome.abandon()
        failed = failed_ids(source, messages, outcome)
        self._log.batch_done(source, count=len(messages), failed=len(failed), trouble=batch_failure(outcome))
        await self._delete(source, [message for message in messages if message["MessageId"] not in failed])

    async def _delete(self, source: EventSource, messages: list[SqsMessage]) -> None:
        try:
            for some in batched(messages, _MAX_MESSAGES_PER_CALL, strict=False):
                entries = [{"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]} for place, message in enumerate(some)]
                await self._aws.sqs("DeleteMessageBatch", QueueUrl=source.queue, Entries=entries)
        except ServiceFailed as error:
            self._log.queue_unreadable(source, str(error))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task
