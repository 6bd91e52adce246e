"""Schedules that run when due."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, count, repeat
from typing import Any

from local.runtime.outcome import HandlerResult, Outcome
from local.template.stack import Schedule
from local.triggers.scheduler import Scheduler, scheduled_event

NIGHT = Schedule(
    name="night", function="Work", expression="rate(1 hour)", timezone="UTC", input='{"n": 1}', is_enabled=True, service="aws.scheduler"
)


class Fleet:
    """A fake fleet that answers and records all invocations."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def submit(self, function: str, payload: bytes) -> Any:
        self.calls.append((function, json.loads(payload)))
        future = asyncio.get_running_loop().create_future()
        future.set_result(HandlerResult(b"{}"))
        return type("Invocation", (), {"outcome": future})


class Log:
    def schedule_ran(self, schedule: Schedule, outcome: Outcome) -> None:
        pass


def clock(step: timedelta) -> Iterator[datetime]:
    """Yield times that advance by `step`."""
    return (datetime(2026, 1, 1, tzinfo=UTC) + step * n for n in count())


def run_for_a_moment(schedule: Schedule) -> list[tuple[str, Any]]:
    async def run() -> list[tuple[str, Any]]:
        fleet, times = Fleet(), clock(timedelta(minutes=50))
        task = asyncio.create_task(Scheduler([schedule], fleet=fleet, log=Log(), now=lambda: next(times)).run())  # type: ignore[arg-type]
        while schedule.is_enabled and len(fleet.calls) < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        return fleet.calls

    return asyncio.run(asyncio.wait_for(run(), 10))


def test_a_schedule_fires_each_time_it_is_due(monkeypatch: Any) -> None:
    monkeypatch.setattr("local.triggers.scheduler._LONGEST_SLEEP_S", 0.001)

    assert run_for_a_moment(NIGHT)[:3] == [("Work", {"n": 1})] * 3


def test_missed_runs_are_made_up_once() -> None:
    """The machine was suspended for ten hours."""
    morning = datetime(2026, 1, 1, tzinfo=UTC)
    times = chain([morning], repeat(morning + timedelta(hours=10)))

    async def run() -> int:
        fleet = Fleet()
        scheduler = Scheduler([NIGHT], fleet=fleet, log=Log(), now=lambda: next(times))  # type: ignore[arg-type]
        task = asyncio.create_task(scheduler.run())
        while not fleet.calls or scheduler.status()[0]["next_run"] != "2026-01-01T11:00:00+00:00":
            await asyncio.sleep(0.01)
        task.cancel()
        return len(fleet.calls)

    assert asyncio.run(asyncio.wait_for(run(), 10)) == 1


def test_a_disabled_schedule_does_not_fire() -> None:
    disabled = Schedule(**{**NIGHT.__dict__, "is_enabled": False})

    assert run_for_a_moment(disabled) == []


def test_schedulers_words_are_filled_into_the_input() -> None:
    words = Schedule(**{**NIGHT.__dict__, "input": '"<aws.scheduler.scheduled-time>"'})

    assert scheduled_event(words, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == b'"2026-01-02T03:04:05Z"'
