"""Runs of scheduled prompts. A worker claims a run for a limited time, so that a run whose worker died is found and claimed again."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, and_, case, func, select, text

from parley.db.tables import schedule_runs, turns

type RunStatus = Literal["queued", "running", "completed", "waiting", "failed"]
type RunEnd = Literal["completed", "waiting", "failed"]

# A run that fails this often in a row pauses its prompt.
MAX_FAILURES = 3
MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ScheduleRun:
    """A run of a scheduled prompt, which was due at `due_at`. While its turn waits for approvals, it waits; it ends when the turn ends."""

    id: UUID
    due_at: datetime
    status: RunStatus
    conversation_id: UUID | None
    turn_id: UUID | None
    error_code: str | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run that this worker has claimed, with the prompt to run."""

    id: UUID
    schedule_id: UUID
    attempts: int
    prompt: str
    model: str | None
    tools: bool
    documents: bool


@dataclass(frozen=True, slots=True)
class EndedRun:
    """The schedule of a run that has ended, whether its user wants mail, and whether the run's failure has paused it."""

    schedule_id: UUID
    email: bool
    is_paused: bool


# A run that waited goes on and ends with its turn. A turn that is gone has ended.
_HAS_WAITED = schedule_runs.c.status == "waiting"
_STATUS = case(
    (~_HAS_WAITED, schedule_runs.c.status),
    (turns.c.status.in_(("waiting", "running")), turns.c.status),
    (turns.c.status.in_(("interrupted", "failed")), "failed"),
    else_="completed",
)
_OF_TURN = {
    "status": _STATUS,
    "error_code": case(
        (_HAS_WAITED & (_STATUS == "failed"), func.coalesce(turns.c.error_code, turns.c.status)), else_=schedule_runs.c.error_code
    ),
    "finished_at": case((_HAS_WAITED, func.coalesce(turns.c.ended_at, schedule_runs.c.finished_at)), else_=schedule_runs.c.finished_at),
}
_COLUMNS = [_OF_TURN.get(field.name, schedule_runs.c[field.name]).label(field.name) for field in fields(ScheduleRun)]
_WITH_TURN = schedule_runs.outerjoin(turns, and_(turns.c.user_id == schedule_runs.c.user_id, turns.c.id == schedule_runs.c.turn_id))
_CLAIM = text(
    """
    UPDATE schedule_runs r
       SET status = 'running', attempts = r.attempts + 1, leased_until = now() + make_interval(secs => :lease_s)
      FROM scheduled_prompts s
     WHERE r.user_id = :user_id AND r.id = :id AND r.status IN ('queued', 'running')
       AND (r.leased_until IS NULL OR r.leased_until < now()) AND s.user_id = r.user_id AND s.id = r.schedule_id
    RETURNING r.id, r.schedule_id, r.attempts, s.prompt, s.model, s.tools, s.documents
    """
)
_END = text(
    f"""
    WITH ended AS (
        UPDATE schedule_runs SET status = :status, finished_at = now(), leased_until = NULL, conversation_id = :conversation_id,
               turn_id = :turn_id, error_code = :error_code
         WHERE user_id = :user_id AND id = :id AND status IN ('queued', 'running') RETURNING schedule_id
    )
    UPDATE scheduled_prompts s
       SET failures = CASE WHEN CAST(:status AS text) = 'failed' THEN s.failures + 1 ELSE 0 END,
           paused_at = CASE WHEN CAST(:status AS text) = 'failed' AND s.failures + 1 >= {MAX_FAILURES}
                            THEN coalesce(s.paused_at, now()) ELSE s.paused_at END,
           next_at = CASE WHEN CAST(:status AS text) = 'failed' AND s.failures + 1 >= {MAX_FAILURES} THEN NULL ELSE s.next_at END
      FROM ended WHERE s.user_id = :user_id AND s.id = ended.schedule_id
    RETURNING s.id AS schedule_id, s.email, CAST(:status AS text) = 'failed' AND s.failures = {MAX_FAILURES} AS is_paused
    """  # noqa: S608 - a constant
)


def claim(connection: Connection, run_id: UUID, *, user_id: UUID, lease_s: float) -> ClaimedRun | None:
    """Claim a run for `lease_s` seconds. Returns None if it has ended, was deleted, or another worker has claimed it."""
    row = connection.execute(_CLAIM, {"user_id": user_id, "id": run_id, "lease_s": lease_s}).one_or_none()
    return ClaimedRun(**row._mapping) if row else None


def end(
    connection: Connection,
    run_id: UUID,
    *,
    user_id: UUID,
    status: RunEnd,
    conversation_id: UUID | None = None,
    turn_id: UUID | None = None,
    error_code: str | None = None,
) -> EndedRun | None:
    """End a run, and count its failure or forget earlier ones. After `MAX_FAILURES` in a row, the prompt is paused.

    Returns None, and changes nothing, if the run has ended already or was deleted.
    """
    values = {"user_id": user_id, "id": run_id, "status": status, "error_code": error_code}
    row = connection.execute(_END, values | {"conversation_id": conversation_id, "turn_id": turn_id}).one_or_none()
    return EndedRun(**row._mapping) if row else None


def page(connection: Connection, schedule_id: UUID, *, user_id: UUID, limit: int, after: UUID | None) -> list[ScheduleRun]:
    """Return up to `limit` runs of a prompt that follow the run `after`, newest first."""
    statement = select(*_COLUMNS).select_from(_WITH_TURN)
    statement = statement.where(schedule_runs.c.user_id == user_id, schedule_runs.c.schedule_id == schedule_id)
    statement = statement.where(schedule_runs.c.id < after) if after else statement
    return [ScheduleRun(**row._mapping) for row in connection.execute(statement.order_by(schedule_runs.c.id.desc()).limit(limit))]


def sweep(connection: Connection) -> int:
    """Delete runs older than 30 days and return their number. Requires the background role."""
    return connection.execute(text("DELETE FROM schedule_runs WHERE created_at < now() - interval '30 days'")).rowcount
