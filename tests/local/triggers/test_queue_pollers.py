"""Batch sizes, concurrency and retries of the queue pollers."""

import asyncio
from collections.abc import Callable
from typing import Any

from local.runtime.outcome import HandlerResult
from local.services.supervisor import ServiceFailed
from local.template.stack import EventSource
from local.triggers.queue_pollers import QueuePollers


class Queue:
    """A fake SQS that gives out numbered messages on request."""

    def __init__(self, *, messages: int, failures: int = 0) -> None:
        self.left = messages
        self.deleted = 0
        self.failures = failures

    async def wait_for_message(self, queue: str) -> bool:
        if self.failures:
            self.failures -= 1
            raise ServiceFailed("down")
        await asyncio.sleep(0.001)
        return self.left > 0

    async def sqs(self, action: str, **fields: Any) -> Any:
        if action == "DeleteMessageBatch":
            self.deleted += len(fields["Entries"])
            return {}
        given = min(self.left, fields["MaxNumberOfMessages"])
        self.left -= given
        numbers = range(self.left, self.left + given)
        return {"Messages": [{"MessageId": str(one), "ReceiptHandle": "h", "Body": "", "MD5OfBody": ""} for one in numbers]}


class Fleet:
    """A fake fleet whose invocations the test answers."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def submit(self, function: str, payload: bytes) -> Any:
        outcome = asyncio.get_running_loop().create_future()
        self.waiting.append(outcome)
        return type("Invocation", (), {"outcome": outcome})

    def answer(self) -> None:
        for outcome in self.waiting:
            if not outcome.done():
                outcome.set_result(HandlerResult(b"null"))


class Log:
    def __init__(self) -> None:
        self.counts: list[int] = []
        self.reasons: list[str] = []

    def batch_done(self, source: EventSource, *, count: int, failed: int, reason: str | None) -> None:
        self.counts.append(count)

    def queue_unreadable(self, source: EventSource, reason: str) -> None:
        self.reasons.append(reason)


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not is_true():
            await asyncio.sleep(0.005)


def read(source: EventSource, queue: Queue, log: Log, steps: Callable[[Fleet], Any]) -> None:
    async def run() -> None:
        fleet = Fleet()
        pollers = QueuePollers(queue, fleet=fleet, log=log)  # type: ignore[arg-type]
        reading = asyncio.create_task(pollers.run([source]))
        await steps(fleet)
        reading.cancel()
        await pollers.stop()

    asyncio.run(run())


def source(**more: Any) -> EventSource:
    return EventSource(name="s", function="Work", queue="q", **more)


def test_no_more_batches_are_taken_than_may_run_at_a_time() -> None:
    queue, log = Queue(messages=5), Log()

    async def steps(fleet: Fleet) -> None:
        await until(lambda: len(fleet.waiting) == 2)
        await asyncio.sleep(0.05)
        assert (len(fleet.waiting), queue.left) == (2, 3)
        fleet.answer()
        await until(lambda: len(fleet.waiting) == 4)

    read(source(batch_size=1, concurrency=2), queue, log, steps)


def test_a_batch_is_gathered_until_it_is_full_and_deleted_in_whole() -> None:
    queue, log = Queue(messages=25), Log()

    async def steps(fleet: Fleet) -> None:
        await until(lambda: len(fleet.waiting) == 1)
        fleet.answer()
        await until(lambda: queue.deleted == 25)

    read(source(batch_size=25, window_s=5), queue, log, steps)
    assert log.counts == [25]


def test_a_batch_that_is_not_full_goes_when_its_window_is_over() -> None:
    queue, log = Queue(messages=3), Log()

    async def steps(fleet: Fleet) -> None:
        await until(lambda: len(fleet.waiting) == 1)
        fleet.answer()
        await until(lambda: queue.deleted == 3)

    read(source(batch_size=100, window_s=0.3), queue, log, steps)
    assert log.counts == [3]


def test_a_queue_that_cannot_be_read_is_told_once_and_tried_again(monkeypatch: Any) -> None:
    monkeypatch.setattr("local.triggers.queue_pollers._RETRY_S", 0.01)
    queue, log = Queue(messages=1, failures=2), Log()

    async def steps(fleet: Fleet) -> None:
        await until(lambda: len(fleet.waiting) == 1)

    read(source(), queue, log, steps)
    assert log.reasons == ["down"]


def test_what_was_taken_is_worked_on_after_the_reading_has_ended() -> None:
    queue, log = Queue(messages=1), Log()

    async def run() -> None:
        fleet = Fleet()
        pollers = QueuePollers(queue, fleet=fleet, log=log)  # type: ignore[arg-type]
        reading = asyncio.create_task(pollers.run([source()]))
        await until(lambda: len(fleet.waiting) == 1)
        reading.cancel()
        fleet.answer()
        await until(lambda: queue.deleted == 1)

    asyncio.run(run())


def test_a_disabled_source_is_not_read() -> None:
    queue = Queue(messages=1)

    async def steps(fleet: Fleet) -> None:
        await asyncio.sleep(0.05)

    read(source(is_enabled=False), queue, Log(), steps)
    assert queue.left == 1
