"""The checkpoint of a turn: how a turn pauses for an approval, and how one process resumes it.

A process that resumes or ends a waiting turn locks its row: of two processes at once, the second sees the changes of the first.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Connection, text

from parley.db.turn import approvals, turn_events
from parley.db.turn.approvals import Approval
from parley.db.turn.message_parts import MessagePart
from parley.db.turn.turn_events import LoggedEvent
from parley.db.turn.turns import TurnStatus
from parley.errors import NotFound

WAITING_EVENT = "turn.waiting"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a turn needs to go on: its answer so far, how the question is to be answered, and what was used up.

    `upto` is the number of the last event that `parts` know of; `candidates` are the ids of models, the one that answers first;
    `facts` and `passages` are what was recalled for the question, `sources` (number, title, text) what documents have for it.
    `remembers` says whether anything could be recalled.
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

    def written(self) -> str:
        """Write it as JSON."""
        plain = replace(self, parts=list(self.parts), candidates=list(self.candidates), sources=list(self.sources))
        return json.dumps(asdict(replace(plain, facts=list(self.facts), passages=list(self.passages))), default=str)

    @classmethod
    def read(cls, found: Mapping[str, Any] | None) -> Self:
        """Read what was written; a turn that never paused holds nothing."""
        return cls(**dict(found) | {"cost_usd": Decimal(found["cost_usd"])}) if found else cls()


@dataclass(frozen=True, slots=True)
class LockedTurn:
    """An open or ended turn under its lock; `is_expired` if it has waited for more than a day."""

    status: TurnStatus
    conversation_id: UUID
    user_message_id: UUID
    model: str
    last_event: int
    checkpoint: Checkpoint
    is_expired: bool


@dataclass(frozen=True, slots=True)
class PauseResult:
    """Whether the turn waits now. If not, it was told to stop or has been ended; `last_event` says whether it had waited before."""

    is_done: bool
    last_event: int


def pause(
    connection: Connection,
    turn_id: UUID,
    checkpoint: Checkpoint,
    asked: Sequence[Approval],
    *,
    user_id: UUID,
    entries: Sequence[LoggedEvent],
) -> PauseResult:
    """Let a running turn wait for the calls, and log the last entries, in one statement; done again, it changes nothing.

    A turn that is to stop is not paused.
    """
    values = {
        "user_id": user_id,
        "turn_id": turn_id,
        "held": checkpoint.written(),
        "approvals": approvals.approvals_json(asked),
        "entries": turn_events.events_json(entries),
        "last_event": entries[-1].number,
    }
    return PauseResult(**connection.execute(_PAUSE, values).one()._mapping)


def lock_turn(connection: Connection, turn_id: UUID, *, user_id: UUID, conversation_too: bool = False) -> LockedTurn:
    """Lock a turn, behind its conversation if that will change too, and return how it stands. Raises NotFound."""
    if conversation_too:
        connection.execute(_LOCK_CONVERSATION, {"user_id": user_id, "turn_id": turn_id})
    row = connection.execute(_LOCK_TURN, {"user_id": user_id, "turn_id": turn_id}).one_or_none()
    if row is None:
        raise NotFound("turn", turn_id)
    return LockedTurn(**dict(row._mapping) | {"checkpoint": Checkpoint.read(row.checkpoint)})


def resume(connection: Connection, turn_id: UUID, *, user_id: UUID) -> None:
    """Make a waiting turn, which is locked, a running one; its log ends no more."""
    connection.execute(_RESUME, {"user_id": user_id, "turn_id": turn_id})
    remove_waiting_event(connection, turn_id, user_id=user_id)


def remove_waiting_event(connection: Connection, turn_id: UUID, *, user_id: UUID) -> None:
    """Take `turn.waiting` out of a turn's log. The other numbers stay."""
    connection.execute(_REMOVE_WAITING_EVENT, {"user_id": user_id, "turn_id": turn_id, "name": WAITING_EVENT})


def read_checkpoint(connection: Connection, turn_id: UUID, *, user_id: UUID) -> Checkpoint:
    """Return what a turn held when it paused last."""
    return Checkpoint.read(connection.execute(_READ_CHECKPOINT, {"user_id": user_id, "turn_id": turn_id}).scalar_one_or_none())


def find_expired(connection: Connection, *, limit: int) -> list[tuple[UUID, UUID]]:
    """Return user and id of turns that have waited for more than a day, the oldest first. Needs the background role."""
    return [(row.user_id, row.id) for row in connection.execute(_FIND_EXPIRED, {"limit": limit})]


# A second attempt finds the turn waiting; one that has gone on since has the number, and is left alone.
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
    """  # noqa: S608 - our own words
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
    """
    UPDATE turns SET status = 'running', heartbeat_at = clock_timestamp(), waiting_since = NULL
     WHERE user_id = :user_id AND id = :turn_id AND status = 'waiting'
    """
)
_REMOVE_WAITING_EVENT = text("DELETE FROM turn_events WHERE user_id = :user_id AND turn_id = :turn_id AND name = :name")
_READ_CHECKPOINT = text("SELECT held FROM turns WHERE user_id = :user_id AND id = :turn_id")
_FIND_EXPIRED = text(
    """
    SELECT user_id, id FROM turns WHERE status = 'waiting' AND waiting_since < now() - interval '24 hours'
     ORDER BY waiting_since LIMIT :limit
    """
)
