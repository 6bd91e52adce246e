"""Checkpoints: how a turn pauses for approvals, and how exactly one process resumes it.

A process that resumes or ends a waiting turn locks the turn's row, so a second process waits and then sees the first one's
changes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Connection, text

from parley.db.turn import approvals, turn_events
from parley.db.turn.approvals import Approval
from parley.db.turn.message_parts import MessagePart
from parley.db.turn.stream_leases import TooManyStreams
from parley.db.turn.turn_events import LoggedEvent
from parley.db.turn.turns import RUNNING_TURNS, TurnStatus
from parley.errors import NotFound

WAITING_EVENT = "turn.waiting"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The saved state of a paused turn: the answer so far, the options of the question, and the usage so far.

    `upto` is the number of the last event that `parts` include. `candidates` are model ids, in the order of preference.
    `facts` and `passages` were recalled for the question; `sources` (number, title, text) were found in documents.
    `remembers` is whether the turn uses memory.
    """

    parts: Sequence[MessagePart] = ()
    upto: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    candidates: Sequence[str] = ()
    rounds: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    first_token_ms: float | None = None
    total_ms: float = 0.0
    facts: Sequence[str] = ()
    passages: Sequence[str] = ()
    sources: Sequence[Mapping[str, Any]] = ()
    remembers: bool = False

    def to_json(self) -> str:
        """Serialize the checkpoint for the column `held`."""
        sequences = {name: list(getattr(self, name)) for name in ("parts", "candidates", "facts", "passages", "sources")}
        return json.dumps(asdict(self) | sequences, default=str)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> Self:
        """Read a stored checkpoint. For a turn that never paused, `stored` is None and the checkpoint is empty."""
        return cls(**dict(stored) | {"cost_usd": Decimal(stored["cost_usd"])}) if stored else cls()


@dataclass(frozen=True, slots=True)
class LockedTurn:
    """A turn whose row this transaction has locked. `is_expired` is whether it has waited for more than 24 hours."""

    status: TurnStatus
    conversation_id: UUID
    user_message_id: UUID
    model: str
    last_event: int
    checkpoint: Checkpoint
    is_expired: bool


@dataclass(frozen=True, slots=True)
class PauseResult:
    """The result of `pause`. If `is_done` is false, a stop was requested or the turn has ended or been resumed already.

    `last_event` is the stored number of the turn's last event. If it has reached the pause's last entry, an earlier attempt succeeded.
    """

    is_done: bool
    last_event: int


def pause(
    connection: Connection,
    turn_id: UUID,
    checkpoint: Checkpoint,
    requested: Sequence[Approval],
    *,
    user_id: UUID,
    entries: Sequence[LoggedEvent],
) -> PauseResult:
    """Make a running turn wait for approvals, and log its last entries, in one statement. Safe to repeat.

    A turn with a stop request is not paused.
    """
    values = {
        "user_id": user_id,
        "turn_id": turn_id,
        "held": checkpoint.to_json(),
        "approvals": approvals.approvals_json(requested),
        "entries": turn_events.events_json(entries),
        "last_event": entries[-1].number,
    }
    return PauseResult(**connection.execute(_PAUSE, values).one()._mapping)


def lock_turn(connection: Connection, turn_id: UUID, *, user_id: UUID, conversation_too: bool = False) -> LockedTurn:
    """Lock a turn's row and return the turn. Raises NotFound.

    Set `conversation_too` if the transaction changes the conversation as well: its row is then locked first.
    """
    if conversation_too:
        connection.execute(_LOCK_CONVERSATION, {"user_id": user_id, "turn_id": turn_id})
    row = connection.execute(_LOCK_TURN, {"user_id": user_id, "turn_id": turn_id}).one_or_none()
    if row is None:
        raise NotFound("turn", turn_id)
    return LockedTurn(**dict(row._mapping) | {"checkpoint": Checkpoint.from_json(row.checkpoint)})


def resume(connection: Connection, turn_id: UUID, *, user_id: UUID, max_running: int) -> None:
    """Set a locked, waiting turn to running and remove `turn.waiting` from its log.

    Raises TooManyStreams if the user has `max_running` running turns. The count is exact only if the transaction holds a lock on
    the user, such as `quotas.lock_rate` takes.
    """
    if not connection.execute(_RESUME, {"user_id": user_id, "turn_id": turn_id, "max_running": max_running}).rowcount:
        raise TooManyStreams("answer", limit=max_running)
    remove_waiting_event(connection, turn_id, user_id=user_id)


def remove_waiting_event(connection: Connection, turn_id: UUID, *, user_id: UUID) -> None:
    """Delete `turn.waiting` from a turn's log. The other events keep their numbers."""
    connection.execute(_REMOVE_WAITING_EVENT, {"user_id": user_id, "turn_id": turn_id, "name": WAITING_EVENT})


def read_checkpoint(connection: Connection, turn_id: UUID, *, user_id: UUID) -> Checkpoint:
    """Return the turn's last checkpoint, empty if it never paused."""
    return Checkpoint.from_json(connection.execute(_READ_CHECKPOINT, {"user_id": user_id, "turn_id": turn_id}).scalar_one_or_none())


def find_expired(connection: Connection, *, limit: int, without: Sequence[UUID] = ()) -> list[tuple[UUID, UUID]]:
    """Return (user id, turn id) of turns that have waited for more than 24 hours, oldest first, without those in `without`.

    Requires the background role.
    """
    return [(row.user_id, row.id) for row in connection.execute(_FIND_EXPIRED, {"limit": limit, "without": list(without)})]


# A repeated attempt finds the turn waiting at the same event number. A turn that was resumed meanwhile has passed that
# number and is left alone.
_PAUSE = text(
    f"""
    WITH paused AS (
            UPDATE turns SET status = 'waiting', waiting_since = clock_timestamp(), held = CAST(:held AS jsonb),
                   last_event = CAST(:last_event AS integer)
             WHERE user_id = CAST(:user_id AS uuid) AND id = CAST(:turn_id AS uuid) AND stop_requested_at IS NULL
               AND (status = 'running' AND last_event < CAST(:last_event AS integer)
                    OR status = 'waiting' AND last_event = CAST(:last_event AS integer))
            RETURNING id
         ),
         {approvals.REQUESTS_CTE},
         {turn_events.log_cte("paused")}
    SELECT EXISTS (SELECT FROM paused) AS is_done,
           coalesce((SELECT last_event FROM turns WHERE user_id = CAST(:user_id AS uuid) AND id = CAST(:turn_id AS uuid)), 0) AS last_event
    """  # noqa: S608 - constants only
)
_LOCK_CONVERSATION = text(
    """
    SELECT FROM conversations
     WHERE user_id = :user_id AND id = (SELECT conversation_id FROM turns WHERE user_id = :user_id AND id = :turn_id)
       FOR NO KEY UPDATE
    """
)
_LOCK_TURN = text(
    """
    SELECT status, conversation_id, user_message_id, model, last_event, held AS checkpoint,
           status = 'waiting' AND waiting_since < now() - interval '24 hours' AS is_expired
      FROM turns
     WHERE user_id = :user_id AND id = :turn_id FOR UPDATE
    """
)
_RESUME = text(
    f"""
    UPDATE turns SET status = 'running', heartbeat_at = clock_timestamp(), waiting_since = NULL
     WHERE user_id = :user_id AND id = :turn_id AND status = 'waiting' AND {RUNNING_TURNS} < :max_running
    """  # noqa: S608 - constants only
)
_REMOVE_WAITING_EVENT = text("DELETE FROM turn_events WHERE user_id = :user_id AND turn_id = :turn_id AND name = :name")
_READ_CHECKPOINT = text("SELECT held FROM turns WHERE user_id = :user_id AND id = :turn_id")
_FIND_EXPIRED = text(
    """
    SELECT user_id, id FROM turns
     WHERE status = 'waiting' AND waiting_since < now() - interval '24 hours' AND id <> ALL(CAST(:without AS uuid[]))
     ORDER BY waiting_since LIMIT :limit
    """
)
