"""How a turn pauses for an approval, and how one process takes it up again.

Who takes a waiting turn up, or ends it, locks its row: of two at once, the second finds it as the first left it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Connection, text

from parley.db import approvals, turn_events
from parley.db.answer_parts import Part
from parley.db.approvals import Approval
from parley.db.turn_events import Entry
from parley.db.turns import TurnStatus
from parley.errors import NotFound

WAITING = "turn.waiting"


@dataclass(frozen=True, slots=True)
class Held:
    """What a turn needs to go on: its answer so far, how the question is to be answered, and what was used up.

    `upto` is the number of the last event that `parts` know of; `candidates` are the ids of models, the one that answers first;
    `facts` and `passages` are what was recalled for the question, `sources` (number, title, text) what documents have for it.
    `remembers` says whether anything could be recalled.
    """

    parts: Sequence[Part] = ()
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
class Standing:
    """An open or ended turn under its lock; `is_expired` if it has waited for more than a day."""

    status: TurnStatus
    conversation_id: UUID
    user_message_id: UUID
    model: str
    last_event: int
    held: Held
    is_expired: bool


@dataclass(frozen=True, slots=True)
class Paused:
    """Whether the turn waits now. If not, it was told to stop or has been ended; `last_event` says whether it had waited before."""

    is_done: bool
    last_event: int


def pause(
    connection: Connection, turn_id: UUID, held: Held, asked: Sequence[Approval], *, user_id: UUID, entries: Sequence[Entry]
) -> Paused:
    """Let a running turn wait for the calls, and log the last entries, in one statement; done again, it changes nothing.

    A turn that is to stop is not paused.
    """
    values = {
        "user_id": user_id,
        "turn_id": turn_id,
        "held": held.written(),
        "approvals": approvals.written(asked),
        "entries": turn_events.written(entries),
        "last_event": entries[-1].number,
    }
    return Paused(**connection.execute(_PAUSE, values).one()._mapping)


def locked(connection: Connection, turn_id: UUID, *, user_id: UUID, conversation_too: bool = False) -> Standing:
    """Lock a turn, behind its conversation if that will change too, and return how it stands. Raises NotFound."""
    if conversation_too:
        connection.execute(_LOCK_CONVERSATION, {"user_id": user_id, "turn_id": turn_id})
    row = connection.execute(_LOCKED, {"user_id": user_id, "turn_id": turn_id}).one_or_none()
    if row is None:
        raise NotFound("turn", turn_id)
    return Standing(**dict(row._mapping) | {"held": Held.read(row.held)})


def go_on(connection: Connection, turn_id: UUID, *, user_id: UUID) -> None:
    """Make a waiting turn, which is locked, a running one; its log ends no more."""
    connection.execute(_GO_ON, {"user_id": user_id, "turn_id": turn_id})
    no_more_waiting(connection, turn_id, user_id=user_id)


def no_more_waiting(connection: Connection, turn_id: UUID, *, user_id: UUID) -> None:
    """Take `turn.waiting` out of a turn's log. The other numbers stay."""
    connection.execute(_NO_MORE_WAITING, {"user_id": user_id, "turn_id": turn_id, "name": WAITING})


def held(connection: Connection, turn_id: UUID, *, user_id: UUID) -> Held:
    """Return what a turn held when it paused last."""
    return Held.read(connection.execute(_HELD, {"user_id": user_id, "turn_id": turn_id}).scalar_one_or_none())


def expired(connection: Connection, *, limit: int) -> list[tuple[UUID, UUID]]:
    """Return user and id of turns that have waited for more than a day, the oldest first. Needs the background role."""
    return [(row.user_id, row.id) for row in connection.execute(_EXPIRED, {"limit": limit})]


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
         {approvals.ASKING},
         {turn_events.logging("paused")}
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
_LOCKED = text(
    """
    SELECT status, conversation_id, user_message_id, model, last_event, held,
           status = 'waiting' AND waiting_since < now() - interval '24 hours' AS is_expired
      FROM turns
     WHERE user_id = :user_id AND id = :turn_id FOR UPDATE
    """
)
_GO_ON = text(
    """
    UPDATE turns SET status = 'running', heartbeat_at = clock_timestamp(), waiting_since = NULL
     WHERE user_id = :user_id AND id = :turn_id AND status = 'waiting'
    """
)
_NO_MORE_WAITING = text("DELETE FROM turn_events WHERE user_id = :user_id AND turn_id = :turn_id AND name = :name")
_HELD = text("SELECT held FROM turns WHERE user_id = :user_id AND id = :turn_id")
_EXPIRED = text(
    """
    SELECT user_id, id FROM turns WHERE status = 'waiting' AND waiting_since < now() - interval '24 hours'
     ORDER BY waiting_since LIMIT :limit
    """
)
