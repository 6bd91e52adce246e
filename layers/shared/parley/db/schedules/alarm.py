"""Finds the prompts that are due, and keeps the time of the next one. Every function requires the background role.

No prompt of a disabled account is due.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from parley.ids import new_id


@dataclass(frozen=True, slots=True)
class DuePrompt:
    """A prompt that is due, and its times."""

    user_id: UUID
    id: UUID
    cron: str | None
    every_minutes: int | None
    time_zone: str
    next_at: datetime


_TAKE_DUE = text(
    """
    SELECT s.user_id, s.id, s.cron, s.every_minutes, s.time_zone, s.next_at
      FROM scheduled_prompts s JOIN users u ON u.id = s.user_id
     WHERE s.next_at <= :now AND s.paused_at IS NULL AND u.disabled_at IS NULL
     ORDER BY s.next_at LIMIT :limit FOR UPDATE OF s SKIP LOCKED
    """
)
_START = text(
    """
    INSERT INTO schedule_runs (user_id, id, schedule_id, due_at) VALUES (:user_id, :id, :schedule_id, :due_at)
    ON CONFLICT (user_id, schedule_id, due_at) DO NOTHING
    """
)
_SET_NEXT = text("UPDATE scheduled_prompts SET next_at = :next_at WHERE user_id = :user_id AND id = :schedule_id")
_SET_EARLIER = text("UPDATE schedule_alarm SET rings_at = :at WHERE rings_at IS NULL OR rings_at > :at OR rings_at <= :now")
_SET_AGAIN = text(
    """
    WITH next AS (
        SELECT min(s.next_at) AS at FROM scheduled_prompts s JOIN users u ON u.id = s.user_id
         WHERE s.next_at IS NOT NULL AND s.paused_at IS NULL AND u.disabled_at IS NULL
    )
    UPDATE schedule_alarm a SET rings_at = next.at FROM next
     WHERE a.rings_at IS DISTINCT FROM next.at AND (a.rings_at IS NULL OR a.rings_at <= :now OR a.rings_at > next.at)
    RETURNING a.rings_at
    """
)
# Two minutes later than its invocation, or than the lease of a worker that died.
_TAKE_LOST = text(
    """
    WITH lost AS (
        SELECT user_id, id FROM schedule_runs
         WHERE status IN ('queued', 'running') AND greatest(sent_at, leased_until) < now() - interval '2 minutes'
         ORDER BY sent_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE schedule_runs r SET sent_at = now() FROM lost WHERE r.user_id = lost.user_id AND r.id = lost.id
    RETURNING r.user_id, r.id, r.attempts
    """
)


def start_due(
    connection: Connection, next_after: Callable[[DuePrompt, datetime], datetime | None], *, now: datetime, limit: int
) -> list[tuple[UUID, UUID]]:
    """Store a run for each of up to `limit` due prompts, set their next times, and return the runs as (user id, run id).

    A prompt whose time has passed several times runs once. Concurrent callers get different prompts.
    """
    runs = []
    for row in connection.execute(_TAKE_DUE, {"now": now, "limit": limit}).all():
        prompt, run_id = DuePrompt(**row._mapping), new_id()
        of_prompt = {"user_id": prompt.user_id, "schedule_id": prompt.id}
        if connection.execute(_START, of_prompt | {"id": run_id, "due_at": prompt.next_at}).rowcount:
            runs.append((prompt.user_id, run_id))
        connection.execute(_SET_NEXT, of_prompt | {"next_at": next_after(prompt, now)})
    return runs


def set_earlier(connection: Connection, at: datetime, *, now: datetime) -> bool:
    """Set the alarm to `at` if it is not set, or later. Returns whether it was set: the caller then sends the message that waits."""
    return connection.execute(_SET_EARLIER, {"at": at, "now": now}).rowcount == 1


def set_again(connection: Connection, *, now: datetime) -> datetime | None:
    """Set the alarm to the time of the next prompt, if the alarm has rung or is late. Returns the time for which a message must wait."""
    row = connection.execute(_SET_AGAIN, {"now": now}).one_or_none()
    return row.rings_at if row else None


def take_lost(connection: Connection, *, limit: int) -> list[tuple[UUID, UUID, int]]:
    """Return up to `limit` runs whose worker never started or died, as (user id, run id, attempts), to start them again."""
    return [(row.user_id, row.id, row.attempts) for row in connection.execute(_TAKE_LOST, {"limit": limit})]
