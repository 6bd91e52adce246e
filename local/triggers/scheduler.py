"""EventBridge schedules: invoke functions when they are due, and on demand."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

from local.runtime.fleet import Fleet
from local.runtime.outcome import Outcome
from local.template.pseudo import ACCOUNT, REGION
from local.template.schedule_expression import ScheduleExpression
from local.template.stack import Schedule

_LONGEST_SLEEP_S = 60.0


class ScheduleLog(Protocol):
    """Logs the runs of schedules."""

    def schedule_ran(self, schedule: Schedule, outcome: Outcome) -> None: ...


class Scheduler:
    """Runs schedules when they are due, and on demand. A failed run is logged and not retried. Missed runs are made up by one."""

    def __init__(
        self, schedules: Iterable[Schedule], *, fleet: Fleet, log: ScheduleLog, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._schedules = {schedule.name: schedule for schedule in schedules}
        self._fleet = fleet
        self._log = log
        self._now = now
        self._due: dict[str, datetime] = {}
        self._firings: set[asyncio.Task[Outcome]] = set()

    async def run(self) -> None:
        """Run each enabled schedule when due, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for schedule in self._schedules.values():
                if schedule.is_enabled:
                    tasks.create_task(self._run_schedule(schedule))

    def find(self, name: str) -> Schedule | None:
        return self._schedules.get(name)

    def status(self) -> list[dict[str, Any]]:
        """Return every schedule with the time of its next run, null if it is disabled or has no further run."""
        return [
            {
                "name": schedule.name,
                "function": schedule.function,
                "expression": schedule.expression,
                "next_run": self._due[schedule.name].isoformat() if schedule.name in self._due else None,
            }
            for schedule in self._schedules.values()
        ]

    async def fire(self, schedule: Schedule) -> Outcome:
        """Run the schedule's function now and return its outcome."""
        invocation = self._fleet.submit(schedule.function, scheduled_event(schedule, self._now()))
        outcome = await asyncio.shield(invocation.outcome)
        self._log.schedule_ran(schedule, outcome)
        return outcome

    async def _run_schedule(self, schedule: Schedule) -> None:
        expression = ScheduleExpression.parse(schedule.expression, timezone=schedule.timezone)
        due = expression.next_after(self._now())
        while due:
            self._due[schedule.name] = due
            await self._sleep_until(due)
            # Not awaited: a run may take longer than the period, and the next run must still start on time.
            firing = asyncio.create_task(self.fire(schedule))
            self._firings.add(firing)
            firing.add_done_callback(self._firings.discard)
            due = expression.next_after(due)
            # After a suspended night, a schedule runs once, not once for each run that it missed.
            if due and due < (now := self._now()):
                due = expression.next_after(now)
        self._due.pop(schedule.name, None)

    async def _sleep_until(self, due: datetime) -> None:
        # Sleep in short steps, because the event loop's clock stops while a laptop is suspended.
        while (left := (due - self._now()).total_seconds()) > 0:
            await asyncio.sleep(min(left, _LONGEST_SLEEP_S))


def scheduled_event(schedule: Schedule, at: datetime) -> bytes:
    """Return the schedule's input with placeholders filled in; without an input, return the standard event of the schedule's service."""
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    arn = f"arn:aws:{'scheduler' if schedule.service == 'aws.scheduler' else 'events'}:{REGION}:{ACCOUNT}:{schedule.name}"
    if schedule.input is not None:
        placeholders = {"<aws.scheduler.scheduled-time>": stamp, "<aws.scheduler.schedule-arn>": arn}
        placeholders |= {"<aws.scheduler.execution-id>": str(uuid.uuid4()), "<aws.scheduler.attempt-number>": "1"}
        text = schedule.input
        for placeholder, value in placeholders.items():
            text = text.replace(placeholder, value)
        return text.encode()
    return json.dumps(
        {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": schedule.service,
            "account": ACCOUNT,
            "time": stamp,
            "region": REGION,
            "resources": [arn],
            "detail": {},
        }
    ).encode()
