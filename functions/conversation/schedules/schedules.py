"""Create and change scheduled prompts."""

from typing import Any
from uuid import UUID

from functions.conversation.services import ConversationServices
from parley.clock import utc_now
from parley.db.engine import Connection
from parley.db.schedules import scheduled_prompts
from parley.db.schedules.scheduled_prompts import ScheduledPrompt
from parley.db.transactions import lock_until_end
from parley.errors import ParleyError
from parley.ids import new_id
from parley.jobs import RingAlarm
from parley.schedule_times import ScheduleTimes


class TooManySchedules(ParleyError):
    """The user has as many scheduled prompts as the deployment allows."""

    status, code = 409, "too_many_schedules"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} scheduled prompts")
        self.public_message = f"You may have {limit} scheduled prompts. Delete one before you make another."


def add_schedule(services: ConversationServices, connection: Connection, *, user_id: UUID, columns: dict[str, Any]) -> ScheduledPrompt:
    """Store a scheduled prompt with its next time. Raises TooManySchedules and InvalidSchedule."""
    times, now = _times(columns), utc_now()
    times.check(now, least_minutes=services.schedule_limits.min_minutes)
    lock_until_end(connection, f"schedules of {user_id}")
    if scheduled_prompts.count(connection, user_id=user_id) >= services.schedule_limits.per_user:
        raise TooManySchedules(services.schedule_limits.per_user)
    return scheduled_prompts.add(connection, new_id(), user_id=user_id, next_at=times.next_after(now), **columns)


def change_schedule(
    services: ConversationServices, connection: Connection, schedule_id: UUID, *, user_id: UUID, changes: dict[str, Any]
) -> ScheduledPrompt:
    """Change a scheduled prompt, and its next time if its times change or it is paused or resumed.

    Times that are given again as they are do not put off the next run. Raises NotFound and InvalidSchedule.
    """
    stored = scheduled_prompts.get(connection, schedule_id, user_id=user_id)
    enabled = changes.pop("enabled", None)
    if enabled is not None:
        changes |= {"paused_at": None if enabled else stored.paused_at or utc_now(), "failures": 0}
    if changes.get("cron") is not None:
        changes["every_minutes"] = None
    elif changes.get("every_minutes") is not None:
        changes["cron"] = None
    is_running = (stored.paused_at is None) if enabled is None else enabled
    before = {name: getattr(stored, name) for name in ("cron", "every_minutes", "time_zone")}
    after = before | {name: changes[name] for name in before.keys() & changes.keys()}
    if after != before or (enabled and stored.next_at is None):
        times, now = _times(after), utc_now()
        times.check(now, least_minutes=services.schedule_limits.min_minutes)
        changes["next_at"] = times.next_after(now) if is_running else None
    elif not is_running:
        changes["next_at"] = None
    return scheduled_prompts.change(connection, schedule_id, user_id=user_id, changes=changes)


def set_alarm(services: ConversationServices, prompt: ScheduledPrompt | None) -> None:
    """Tell the upkeep function when a prompt is due, after its row is committed. A paused prompt, or None, is not due.

    A lost message is not sent again: the next batch of the upkeep function, or its sweep, finds the prompt.
    """
    if prompt and prompt.next_at:
        services.upkeep_queue.send_later(RingAlarm(prompt.next_at))


def _times(columns: dict[str, Any]) -> ScheduleTimes:
    return ScheduleTimes(columns["cron"], columns["every_minutes"], columns["time_zone"])
