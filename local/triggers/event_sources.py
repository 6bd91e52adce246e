"""SQS event source mappings: receive batches, invoke functions with them, and delete the messages that succeeded.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html and …/services-sqs-errorhandling.html
"""

import asyncio
import json
import secrets
import sqlite3
import time
import zlib
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from local.queues.errors import SqsError
from local.queues.messages import SqsMessage, received_fields
from local.queues.service import QueueService
from local.queues.store import ReceivedMessage
from local.runtime.fleet import Fleet
from local.runtime.outcome import Failure, HandlerResult, Outcome, Stream
from local.template.pseudo import REGION, queue_arn
from local.template.stack import EventSource

_RETRY_S = 1.0
# Lambda stops a function that is invoked about this often in one chain.
MAX_LINEAGE = 16


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


@dataclass(frozen=True)
class Lineage:
    """How often a function runs in a chain of messages that each caused the next, and the trace header that records the chain.

    SDKs pass the trace header of the invocation on to SQS, which keeps it with the message:
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
    """

    trace_header: str
    count: int

    @classmethod
    def of_batch(cls, messages: list[SqsMessage], function: str) -> "Lineage":
        """Return the longest chain that leads to one of the messages, with the function's next invocation at its end."""
        return max((cls._next(message.get("Attributes", {}).get("AWSTraceHeader", ""), function) for message in messages), key=_by_count)

    @classmethod
    def _next(cls, header: str, function: str) -> "Lineage":
        fields = dict(part.split("=", 1) for part in header.split(";") if "=" in part)
        counts = dict(entry.split(":", 1) for entry in fields.get("Lineage", "").split("|") if ":" in entry)
        key = f"{zlib.crc32(function.encode()):08x}"
        count = int(counts.get(key, 0)) + 1
        counts[key] = str(count)
        fields.setdefault("Root", f"1-{int(time.time()):08x}-{secrets.token_hex(12)}")
        fields["Lineage"] = "|".join(f"{name}:{number}" for name, number in counts.items())
        return cls(";".join(f"{name}={value}" for name, value in fields.items()), count)


def _by_count(lineage: Lineage) -> int:
    return lineage.count


class BatchLog(Protocol):
    """Logs batches, and queues that cannot be read."""

    def batch_done(self, source: EventSource, *, count: int, failed: int, reason: str | None) -> None: ...

    def queue_unreadable(self, source: EventSource, reason: str) -> None: ...


class EventSources:
    """Invokes functions with messages from their queues. SQS delivers failed messages again after the visibility timeout."""

    def __init__(self, queues: QueueService, *, fleet: Fleet, log: BatchLog) -> None:
        self._queues = queues
        self._fleet = fleet
        self._log = log
        self._work: set[asyncio.Task[None]] = set()

    async def run(self, sources: Iterable[EventSource]) -> None:
        """Serve all enabled sources until cancelled. Batches received by then are still processed."""
        async with asyncio.TaskGroup() as serving:
            for source in sources:
                if source.is_enabled:
                    serving.create_task(self._serve(source))

    async def stop(self) -> None:
        """Cancel the batches in progress; SQS delivers their messages again after the visibility timeout."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _serve(self, source: EventSource) -> None:
        free = asyncio.Semaphore(source.concurrency)
        is_down = False
        while True:
            await free.acquire()
            try:
                await self._queues.wait_for_message(source.queue)
                messages = self._queues.store.receive(source.queue, count=source.batch_size)
                is_down = False
            except (sqlite3.Error, SqsError) as error:
                free.release()
                if not is_down:
                    self._log.queue_unreadable(source, str(error))
                is_down = True
                await asyncio.sleep(_RETRY_S)
                continue
            if messages:
                # One batch gathers messages at a time: two would share them, and both would wait for the end of the window.
                filled = asyncio.Event()
                self._spawn(self._consume(source, messages, filled)).add_done_callback(lambda _: free.release())
                await filled.wait()
            else:
                # The visible messages have expired or have become dead letters.
                free.release()

    async def _consume(self, source: EventSource, messages: list[ReceivedMessage], filled: asyncio.Event) -> None:
        """Set `filled` once the batch has all its messages, then invoke the function with it."""
        try:
            messages = await self._filled(source, messages)
        finally:
            filled.set()
        batch = [received_fields(message, {"All"}, ["All"]) for message in messages]
        lineage = Lineage.of_batch(batch, source.function)
        if lineage.count > MAX_LINEAGE and not self._fleet.pools[source.function].function.may_recurse:
            reason = f"RecursionStopped: {source.function} ran {MAX_LINEAGE} times in one chain, and its RecursiveLoop is not Allow"
            self._log.batch_done(source, count=len(batch), failed=len(batch), reason=reason)
            return
        invocation = self._fleet.submit(source.function, batch_event(source, batch), trace_id=lineage.trace_header)
        outcome = await asyncio.shield(invocation.outcome)
        if isinstance(outcome, Stream):
            outcome.abandon()
        failed = failed_ids(source, batch, outcome)
        self._log.batch_done(source, count=len(batch), failed=len(failed), reason=batch_failure(outcome))
        self._delete(source, [message["ReceiptHandle"] for message in batch if message["MessageId"] not in failed])

    async def _filled(self, source: EventSource, messages: list[ReceivedMessage]) -> list[ReceivedMessage]:
        """Return the messages and, with a batching window, those that arrive until the batch is full or the window ends."""
        ends = asyncio.get_running_loop().time() + source.window_s
        while len(messages) < source.batch_size and (left_s := ends - asyncio.get_running_loop().time()) > 0:
            messages = messages + await self._queues.receive(source.queue, count=source.batch_size - len(messages), wait_s=left_s)
        return messages

    def _delete(self, source: EventSource, handles: list[str]) -> None:
        try:
            for handle in handles:
                self._queues.store.delete(source.queue, handle)
        except (sqlite3.Error, SqsError) as error:
            self._log.queue_unreadable(source, str(error))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task
