"""Turns: their state, heartbeat, progress and stop requests. `turn_begin` and `turn_end` store their beginning and end.

Statements of a streaming turn are constant SQL text and take one round trip each. To avoid deadlocks, a transaction that
changes a turn and its conversation locks the conversation first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, cast
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from parley.auth.principal import Principal
from parley.db.transactions import run_statement
from parley.db.turn import turn_events
from parley.db.turn.turn_events import LoggedEvent
from parley.errors import NotFound

type TurnStatus = Literal["running", "waiting", "completed", "stopped", "interrupted", "failed"]

# A running turn with an older heartbeat is stale: its worker is considered dead.
STALE_AFTER_S = 30
STALE_AFTER = f"interval '{STALE_AFTER_S} seconds'"
# A subquery that counts the user's running turns, without stale turns.
RUNNING_TURNS = f"""(
    SELECT count(*) FROM turns r
     WHERE r.user_id = CAST(:user_id AS uuid) AND r.status = 'running' AND r.heartbeat_at > clock_timestamp() - {STALE_AFTER})"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """The state of a turn at its heartbeat: whether it is still running, and whether a stop was requested.

    `is_access_ended` means that the principal's session has ended or its API key was revoked. `steering_messages` is how many messages
    the user has sent to the turn.
    """

    is_running: bool
    is_stop_requested: bool
    is_access_ended: bool
    steering_messages: int


@dataclass(frozen=True, slots=True)
class TurnProgress:
    """The state of a turn and the requested entries of its event log. `is_access_ended` is as in HeartbeatReply."""

    status: TurnStatus
    last_event: int
    is_stale: bool
    message_id: UUID | None
    entries: list[LoggedEvent]
    is_access_ended: bool


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A stored turn."""

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


@dataclass(frozen=True, slots=True)
class AnswerFigures:
    """Tokens, cost and duration of the turn that wrote an answer. A cost of zero means that the model has no price."""

    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    total_ms: float | None


def answer_figures(connection: Connection, message_ids: Sequence[UUID], *, user_id: UUID) -> dict[UUID, AnswerFigures]:
    """Return the figures of these messages by id. Questions, and answers copied into a fork, have none."""
    rows = connection.execute(_ANSWER_FIGURES, {"user_id": user_id, "message_ids": list(message_ids)})
    return {row.message_id: AnswerFigures(row.input_tokens, row.output_tokens, row.cost_usd, row.total_ms) for row in rows}


def open_turn(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> UUID | None:
    """Return the conversation's running or waiting turn, None if it has none. There is at most one."""
    which = {"user_id": user_id, "conversation_id": conversation_id}
    return cast("UUID | None", connection.execute(_OPEN_TURN, which).scalar_one_or_none())


def record_heartbeat(
    engine: Engine, turn_id: UUID, *, user_id: UUID, entries: Sequence[LoggedEvent], principal: Principal | None = None
) -> HeartbeatReply:
    """Log the entries, update the heartbeat and read the stop request, in one statement and its own transaction.

    The same statement checks whether the session or API key of `principal` is still valid. Raises Unavailable.
    """
    last_event = entries[-1].number if entries else 0
    values = {"turn_id": str(turn_id), "entries": turn_events.events_json(entries), "last_event": last_event}
    row = run_statement(engine, _RECORD_HEARTBEAT, user_id=user_id, **values, **_credential(principal))
    is_running = row.is_stop_requested is not None
    return HeartbeatReply(
        is_running,
        is_stop_requested=bool(row.is_stop_requested),
        is_access_ended=row.is_access_ended,
        steering_messages=row.steering_messages or 0,
    )


def _credential(principal: Principal | None) -> dict[str, UUID | None]:
    if principal is None:
        return {"session_id": None, "api_key_id": None}
    return {"session_id": principal.session_id, "api_key_id": principal.api_key_id}


def progress(engine: Engine, turn_id: UUID, *, user_id: UUID, after: int, principal: Principal | None = None) -> TurnProgress:
    """Return the state of a turn and its events after number `after`, in one statement and its own transaction.

    Raises NotFound and Unavailable.
    """
    row = run_statement(engine, _PROGRESS, user_id=user_id, turn_id=str(turn_id), after=after, **_credential(principal))
    if row.turn is None:
        raise NotFound("turn", turn_id)
    message_id = row.turn["message_id"]
    state = row.turn | {"message_id": UUID(message_id) if message_id else None}
    return TurnProgress(**state, entries=LoggedEvent.from_json(row.entries), is_access_ended=row.is_access_ended)


def get(connection: Connection, turn_id: UUID, *, user_id: UUID) -> StoredTurn:
    """Return the user's turn, or raise NotFound."""
    row = connection.execute(_GET, {"user_id": user_id, "turn_id": turn_id}).one_or_none()
    if row is None:
        raise NotFound("turn", turn_id)
    return StoredTurn(**row._mapping)


def exists(connection: Connection, turn_id: UUID, *, user_id: UUID) -> bool:
    """Whether the turn still exists, running or not. Deleting a conversation deletes its turns."""
    return connection.execute(_GET, {"user_id": user_id, "turn_id": turn_id}).one_or_none() is not None


def read_events(connection: Connection, turn_id: UUID, *, user_id: UUID, after: int = 0) -> list[LoggedEvent]:
    """Return the turn's logged events after number `after`."""
    return LoggedEvent.from_json(connection.execute(_READ_EVENTS, {"user_id": user_id, "turn_id": turn_id, "after": after}).scalar_one())


def request_stop(connection: Connection, turn_id: UUID, *, user_id: UUID) -> TurnStatus:
    """Request that a running turn stop, and return its status. A turn that is not running is unchanged. Raises NotFound."""
    status = connection.execute(_REQUEST_STOP, {"user_id": user_id, "turn_id": turn_id}).scalar_one_or_none()
    if status is None:
        raise NotFound("turn", turn_id)
    return cast("TurnStatus", status)


def heartbeat_age_s(connection: Connection, turn_id: UUID, *, user_id: UUID) -> float | None:
    """Return the seconds since a turn's last heartbeat, or None if it is not running. Raises NotFound."""
    row = connection.execute(_HEARTBEAT_AGE, {"user_id": user_id, "turn_id": turn_id}).one_or_none()
    if row is None:
        raise NotFound("turn", turn_id)
    return float(row.age_s) if row.status == "running" else None


def find_stale(connection: Connection, *, limit: int, without: Sequence[UUID] = ()) -> list[tuple[UUID, UUID]]:
    """Return (user id, turn id) of stale turns, oldest heartbeat first, without those in `without`. Requires the background role."""
    return [(row.user_id, row.id) for row in connection.execute(_FIND_STALE, {"limit": limit, "without": list(without)})]


_TURN_COLUMNS = ", ".join(StoredTurn.__dataclass_fields__)

# Whether the session or API key is no longer valid, by the rules of `principal_scope`. False if neither is given.
_IS_ACCESS_ENDED = """
    CASE WHEN CAST(:session_id AS uuid) IS NOT NULL THEN
              NOT EXISTS (SELECT FROM sessions s JOIN users u ON u.id = s.user_id
                           WHERE s.user_id = CAST(:user_id AS uuid) AND s.id = CAST(:session_id AS uuid)
                             AND s.ended_at IS NULL AND s.expires_at > now() AND u.disabled_at IS NULL)
         WHEN CAST(:api_key_id AS uuid) IS NOT NULL THEN
              NOT EXISTS (SELECT FROM api_keys a JOIN users u ON u.id = a.user_id
                           WHERE a.user_id = CAST(:user_id AS uuid) AND a.id = CAST(:api_key_id AS uuid)
                             AND a.revoked_at IS NULL AND a.expires_at > now() AND u.disabled_at IS NULL)
         ELSE false
    END AS is_access_ended"""
# `set_config` comes first in the select list, so it is evaluated before the CTEs that depend on it are read.
_RECORD_HEARTBEAT = text(
    f"""
    WITH updated AS (
            UPDATE turns SET heartbeat_at = clock_timestamp(), last_event = greatest(last_event, CAST(:last_event AS integer))
             WHERE user_id = CAST(:user_id AS uuid) AND id = CAST(:turn_id AS uuid) AND status = 'running'
            RETURNING stop_requested_at, jsonb_array_length(steering) AS steering_messages
         ),
         {turn_events.log_cte("updated")}
    SELECT set_config('parley.user_id', CAST(:user_id AS text), true),
           (SELECT stop_requested_at IS NOT NULL FROM updated) AS is_stop_requested,
           (SELECT steering_messages FROM updated) AS steering_messages, {_IS_ACCESS_ENDED}
    """  # noqa: S608 - constants only
)
_PROGRESS = text(
    f"""
    SELECT set_config('parley.user_id', CAST(:user_id AS text), true),
           (SELECT jsonb_build_object('status', t.status, 'last_event', t.last_event, 'message_id', t.message_id,
                                      'is_stale', t.status = 'running' AND t.heartbeat_at < clock_timestamp() - {STALE_AFTER})
              FROM turns t WHERE t.user_id = CAST(:user_id AS uuid) AND t.id = CAST(:turn_id AS uuid)) AS turn,
           ({turn_events.EVENTS_AFTER}) AS entries, {_IS_ACCESS_ENDED}
    """  # noqa: S608 - constants only
)
_READ_EVENTS = text(turn_events.EVENTS_AFTER)
_GET = text(f"SELECT {_TURN_COLUMNS} FROM turns WHERE user_id = :user_id AND id = :turn_id")  # noqa: S608 - constants only
_ANSWER_FIGURES = text(
    """
    SELECT message_id, input_tokens, output_tokens, cost_usd, total_ms FROM turns
     WHERE user_id = :user_id AND message_id = ANY(CAST(:message_ids AS uuid[])) AND input_tokens IS NOT NULL
    """
)
_OPEN_TURN = text(
    """
    SELECT id FROM turns
     WHERE user_id = :user_id AND conversation_id = :conversation_id AND status IN ('running', 'waiting')
    """
)
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
    SELECT user_id, id FROM turns
     WHERE status = 'running' AND heartbeat_at < now() - {STALE_AFTER} AND id <> ALL(CAST(:without AS uuid[]))
     ORDER BY heartbeat_at LIMIT :limit
    """  # noqa: S608 - constants only
)
