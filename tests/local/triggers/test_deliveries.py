"""Batch sizes, concurrency and retries of event sources."""

import asyncio
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local.queues.messages import TRACE_ATTRIBUTE, received_fields
from local.queues.service import QueueService
from local.runtime.outcome import HandlerResult
from local.template.stack import EventSource
from local.triggers.event_sources import MAX_LINEAGE, EventSources


class Fleet:
    """A fake fleet whose invocations the test answers."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.traces: list[str] = []
        self.pools = {"Work": SimpleNamespace(function=SimpleNamespace(may_recurse=False))}

    def submit(self, function: str, payload: bytes, *, trace_id: str) -> Any:
        self.traces.append(trace_id)
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


@pytest.fixture
def queues(tmp_path: Path) -> Iterator[QueueService]:
    """Queues with one queue, q."""
    service = QueueService(tmp_path)
    service.store.create("q", {})
    yield service
    service.close()


def left(queues: QueueService) -> int:
    counts = queues.store.counts("q")
    return counts.visible + counts.in_flight


def serve(source: EventSource, queues: QueueService, log: Log, steps: Callable[[Fleet], Any], *, messages: int) -> None:
    async def run() -> None:
        fleet = Fleet()
        sources = EventSources(queues, fleet=fleet, log=log)  # type: ignore[arg-type]
        serving = asyncio.create_task(sources.run([source]))
        # Until the source waits, so that the messages must wake it.
        await asyncio.sleep(0.05)
        for number in range(messages):
            await queues.send("q", str(number))
        await steps(fleet)
        serving.cancel()
        await sources.stop()

    asyncio.run(run())


def source(**more: Any) -> EventSource:
    return EventSource(name="s", function="Work", queue="q", **more)


def test_no_more_batches_are_taken_than_may_run_at_a_time(queues: QueueService) -> None:
    async def steps(fleet: Fleet) -> None:
        await until(lambda: len(fleet.waiting) == 2)
        await asyncio.sleep(0.05)
        assert (len(fleet.waiting), queues.store.counts("q").visible) == (2, 3)
        fleet.answer()
        await until(lambda: len(fleet.waiting) == 4)

    serve(source(batch_size=1, concurrency=2), queues, Log(), steps, messages=5)


def test_a_batch_is_gathered_until_it_is_full_and_deleted_in_whole(queues: QueueService) -> None:
    log = Log()

    async def steps(fleet: Fleet) -> None:
        await until(lambda: len(fleet.waiting) == 1)
        fleet.answer()
        await until(lambda: left(queues) == 0)

    serve(source(batch_size=25, window_s=60), queues, log, steps, messages=25)
    assert log.counts == [25]


def test_a_batch_that_is_not_full_goes_when_its_window_is_over(queues: QueueService) -> None:
    log = Log()

    async def steps(fleet: Fleet) -> None:
        await until(lambda: len(fleet.waiting) == 1)
        fleet.answer()
        await until(lambda: left(queues) == 0)

    serve(source(batch_size=100, window_s=0.3), queues, log, steps, messages=3)
    assert log.counts == [3]


def test_a_message_starts_a_waiting_source_at_once(queues: QueueService) -> None:
    async def steps(fleet: Fleet) -> None:
        async with asyncio.timeout(20):
            await until(lambda: len(fleet.waiting) == 1)

    serve(source(), queues, Log(), steps, messages=1)


def test_a_queue_that_cannot_be_read_is_told_once_and_tried_again(queues: QueueService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.triggers.event_sources._RETRY_S", 0.01)
    log, receive, failures = Log(), queues.store.receive, [1, 2]

    def failing(*args: Any, **fields: Any) -> Any:
        if failures:
            failures.pop()
            raise sqlite3.OperationalError("disk I/O error")
        return receive(*args, **fields)

    monkeypatch.setattr(queues.store, "receive", failing)

    async def steps(fleet: Fleet) -> None:
        await until(lambda: len(fleet.waiting) == 1)

    serve(source(), queues, log, steps, messages=1)
    assert log.reasons == ["disk I/O error"]


def test_what_was_taken_is_worked_on_after_the_reading_has_ended(queues: QueueService) -> None:
    async def run() -> None:
        fleet = Fleet()
        sources = EventSources(queues, fleet=fleet, log=Log())  # type: ignore[arg-type]
        serving = asyncio.create_task(sources.run([source()]))
        await queues.send("q", "one")
        await until(lambda: len(fleet.waiting) == 1)
        serving.cancel()
        fleet.answer()
        await until(lambda: left(queues) == 0)

    asyncio.run(run())


def test_a_disabled_source_is_not_read(queues: QueueService) -> None:
    async def steps(fleet: Fleet) -> None:
        await asyncio.sleep(0.05)

    serve(source(is_enabled=False), queues, Log(), steps, messages=1)
    assert queues.store.counts("q").visible == 1


@pytest.mark.parametrize("may_recurse", [True, False])
def test_a_function_may_trigger_itself_without_end_only_if_the_template_allows_it(queues: QueueService, may_recurse: bool) -> None:
    log, key = Log(), f"{zlib.crc32(b'Work'):08x}"
    trace = {TRACE_ATTRIBUTE: {"DataType": "String", "StringValue": f"Root=1-2-3;Lineage=aaaaaaaa:2|{key}:{MAX_LINEAGE}"}}

    async def steps(fleet: Fleet) -> None:
        fleet.pools["Work"].function.may_recurse = may_recurse
        await queues.send("q", "again", attributes=trace)
        await until(lambda: bool(fleet.traces or log.counts))
        fleet.answer()
        assert fleet.traces == ([f"Root=1-2-3;Lineage=aaaaaaaa:2|{key}:{MAX_LINEAGE + 1}"] if may_recurse else [])

    serve(source(batch_size=1), queues, log, steps, messages=0)


def test_the_trace_header_is_no_attribute_that_clients_see(queues: QueueService) -> None:
    queues.store.send("q", "x", attributes={TRACE_ATTRIBUTE: {"DataType": "String", "StringValue": "Root=1-2-3"}})
    (received,) = queues.store.receive("q", count=1)
    fields = received_fields(received, {"All"}, ["All"])

    assert fields["Attributes"]["AWSTraceHeader"] == "Root=1-2-3"
    assert "MessageAttributes" not in fields
