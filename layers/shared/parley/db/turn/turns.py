"""Turns: their state, heartbeat, progress and stop requests. `turn_begin` and `turn_end` store how they begin and end.

Each statement of a streaming turn is prepared as text and takes one round trip. A transaction that changes a turn and its
conversation locks the conversation first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, cast
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from parley.db.transactions import run_statement
from parley.db.turn import turn_events
from parley.db.turn.turn_events import LoggedEvent
from parley.errors import NotFound

type TurnStatus = Literal["running", "waiting", "completed", "stopped", "interrupted", "failed"]

# A heart that has not beaten for so long is taken for dead.
STALE_AFTER_S = 30
STALE_AFTER = f"interval '{STALE_AFTER_S} seconds'"


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """What a tick finds: whether the turn is still ours, and whether somebody wants it to stop."""

    is_running: bool
    is_to_stop: bool


@dataclass(frozen=True, slots=True)
class TurnProgress:
    """How far a turn is, and the entries of its log that were asked for."""

    status: TurnStatus
    last_event: int
    is_stale: bool
    message_id: UUID | None
    entries: list[LoggedEvent]


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A turn as it is stored."""

    id: UUID
    conversation_id: UUID
    user_message_id: UUID
    message_id: UUID | None
    status: TurnStatus
    model: str
    error_code: str | None
    finish_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None
    last_event: int
    started_at: datetime
    ended_at: datetime | None


def record_heartbeat(engine: Engine, turn_id: UUID, *, user_id: UUID, entries: Sequence[LoggedEvent]) -> HeartbeatReply:
    """Log the entries, beat the heart and read whether to stop: one statement, a transaction of its own. Raises Unavailable."""
    last_event = entries[-1].number if entries else 0
    row = run_statement(
        engine, _RECORD_HEARTBEAT, user_id=user_id, turn_id=str(turn_id), entries=turn_events.events_json(entries), last_event=last_event
    )
    return HeartbeatReply(row.is_to_stop is not None, bool(row.is_to_stop))


def progress(engine: Engine, turn_id: UUID, *, user_id: UUID, after: int) -> TurnProgress:
    """Return how far a turn is, and its events behind `after`: one statement, a transaction of its own.

    Raises NotFound and Unavailable.
    """
    row = run_statement(engine, _PROGRESS, user_id=user_id, turn_id=str(turn_id), after=after)
    if row.turn is None:
        raise NotFound("turn", turn_id)
    message_id = row.turn["message_id"]
    found = row.turn | {"message_id": UUID(message_id) if message_id else None}
    return TurnProgress(**found, entries=LoggedEvent.read(row.entries))


def get(connection: Connection, turn_id: UUID, *, user_id: UUID) -> StoredTurn:
    """Return the user's turn, or raise NotFound."""
    row = connection.execute(_GET, {"user_id": user_id, "turn_id": turn_id}).one_or_none()
    if row is None:
        raise NotFound("turn", turn_id)
    return StoredTurn(**row._mapping)


def exists(connection: Connection, turn_id: UUID, *, user_id: UUID) -> bool:
    """Whether the turn is still there, running or not: it goes with its conversation."""
    return connection.execute(_GET, {"user_id": user_id, "turn_id": turn_id}).one_or_none() is not None


def read_events(connection: Connection, turn_id: UUID, *, user_id: UUID, after: int = 0) -> list[LoggedEvent]:
    """Return what the log has of a turn behind the number `after`."""
    return LoggedEvent.read(connection.execute(_READ_EVENTS, {"user_id": user_id, "turn_id": turn_id, "after": after}).scalar_one())


def request_stop(connection: Connection, turn_id: UUID, *, user_id: UUID) -> TurnStatus:
    """Ask a running turn to stop, and return how it stands; one that does not run stays as it is. Raises NotFound."""
    status = connection.execute(_REQUEST_STOP, {"user_id": user_id, "turn_id": turn_id}).scalar_one_or_none()
    if status is None:
        raise NotFound("turn", turn_id)
    return cast("TurnStatus", status)


def heartbeat_age_s(connection: Connection, turn_id: UUID, *, user_id: UUID) -> float | None:
    """Return for how long a turn's heart has not beaten, or None if it is not running. Raises NotFound."""
    row = connection.execute(_HEARTBEAT_AGE, {"user_id": user_id, "turn_id": turn_id}).one_or_none()
    if row is None:
        raise NotFound("turn", turn_id)
    return float(row.age_s) if row.status == "running" else None


def find_stale(connection: Connection, *, limit: int) -> list[tuple[UUID, UUID]]:
    """Return user and id of turns whose heart has stopped, the oldest first. Needs the background role."""
    return [(row.user_id, row.id) for row in connection.execute(_FIND_STALE, {"limit": limit})]


_TURN_COLUMNS = ", ".join(StoredTurn.__dataclass_fields__)

# `set_config` stands first, and is evaluated before the statement asks for what the CTEs return.
_RECORD_HEARTBEAT = text(
    f"""
    WITH beaten AS (
            UPDATE turns SET heartbeat_at = clock_timestamp(), last_event = greatest(last_event, CAST(:last_event AS integer))
             WHERE user_id = CAST(:user_id AS uuid) AND id = CAST(:turn_id AS uuid) AND status = 'running'
            RETURNING stop_requested_at
         ),
         {turn_events.log_cte("beaten")}
    SELECT set_config('parley.user_id', CAST(:user_id AS text), true), (SELECT stop_requested_at IS NOT NULL FROM beaten) AS is_to_stop
    """  # noqa: S608 - our own words
)
_PROGRESS = text(
    f"""
    SELECT set_config('parley.user_id', CAST(:user_id AS text), true),
           (SELECT jsonb_build_object('status', t.status, 'last_event', t.last_event, 'message_id', t.message_id,
                                      'is_stale', t.status = 'running' AND t.heartbeat_at < clock_timestamp() - {STALE_AFTER})
              FROM turns t WHERE t.user_id = CAST(:user_id AS uuid) AND t.id = CAST(:turn_id AS uuid)) AS turn,
           ({turn_events.EVENTS_AFTER}) AS entries
    """  # noqa: S608 - our own words
)
_READ_EVENTS = text(turn_events.EVENTS_AFTER)
_GET = text(f"SELECT {_TURN_COLUMNS} FROM turns WHERE user_id = :user_id AND id = :turn_id")  # noqa: S608 - our own words
_REQUEST_STOP = text(
    """
    UPDATE turns SET stop_requested_at = CASE WHEN status = 'running' THEN coalesce(stop_requested_at, now()) ELSE stop_requested_at END
     WHERE user_id = :user_id AND id = :turn_id
    RETURNING status
    """
)
_HEARTBEAT_AGE = text(
    "SELECT status, extract(epoch FROM clock_timestamp() - heartbeat_at) AS age_s FROM turns WHERE user_id = :user_id AND id = :turn_id"
)
_FIND_STALE = text(
    f"""
    SELECT user_id, id FROM turns WHERE status = 'running' AND heartbeat_at < now() - {STALE_AFTER} ORDER BY heartbeat_at LIMIT :limit
    """  # noqa: S608 - our own words
)
