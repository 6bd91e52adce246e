"""Queues that call functions, as Lambda's event source mappings do."""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from itertools import batched
from typing import Any, Protocol

from local import batch
from local.batch import Message
from local.runtime.fleet import Fleet
from local.runtime.outcome import Stream
from local.services.endpoint import Endpoint
from local.services.supervised import ServiceFailed
from local.template.stack import EventSource

_MOST_AT_ONCE = 10
_PAUSE_S = 1.0
_STEP_S = 0.2


class BatchLog(Protocol):
    """Gets one line for each batch, and for each time that a queue can no longer be read."""

    def consumed(self, source: EventSource, *, count: int, failed: int, trouble: str | None) -> None: ...

    def unread(self, source: EventSource, reason: str) -> None: ...


class Readers:
    """Gives functions the messages of their queues. What fails is left in its queue and comes again by itself."""

    def __init__(self, aws: Endpoint, *, fleet: Fleet, log: BatchLog) -> None:
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
                while not await self._aws.arrival(source.queue):
                    pass
                # Not to be broken off: a message that is taken and given to nobody stays away for long.
                await asyncio.shield(self._spawn(self._take(source, free)))
                is_down = False
            except ServiceFailed as error:
                free.release()
                if not is_down:
                    self._log.unread(source, str(error))
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

    async def _receive(self, source: EventSource) -> list[Message]:
        """Return a batch: what is there, or what comes within the window until the batch is full."""
        ends = time.monotonic() + source.window_s
        messages: list[Message] = []
        while True:
            most = min(_MOST_AT_ONCE, source.batch_size - len(messages))
            # The function finds a queue by its name as well as by its address.
            wanted = {"QueueUrl": source.queue, "MaxNumberOfMessages": most, "WaitTimeSeconds": 0}
            answer = await self._aws.sqs("ReceiveMessage", **wanted, AttributeNames=["All"], MessageAttributeNames=["All"])
            messages += answer.get("Messages", [])
            if len(messages) >= source.batch_size or time.monotonic() >= ends:
                return messages
            await asyncio.sleep(_STEP_S)

    async def _consume(self, source: EventSource, messages: list[Message]) -> None:
        invocation = self._fleet.submit(source.function, batch.event(source, messages))
        outcome = await asyncio.shield(invocation.outcome)
        if isinstance(outcome, Stream):
            outcome.abandon()
        failed = batch.failed_ids(source, messages, outcome)
        self._log.consumed(source, count=len(messages), failed=len(failed), trouble=batch.trouble(outcome))
        await self._delete(source, [message for message in messages if message["MessageId"] not in failed])

    async def _delete(self, source: EventSource, messages: list[Message]) -> None:
        try:
            for some in batched(messages, _MOST_AT_ONCE, strict=False):
                entries = [{"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]} for place, message in enumerate(some)]
                await self._aws.sqs("DeleteMessageBatch", QueueUrl=source.queue, Entries=entries)
        except ServiceFailed as error:
            self._log.unread(source, str(error))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task
