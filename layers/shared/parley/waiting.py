"""The end of a turn that waits for an approval and will not get it: it is stopped, denied by a new message, or has waited too long."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from sqlalchemy import Engine

from parley.db import turn_endings, turn_pauses
from parley.db.answer_parts import AnswerParts
from parley.db.scope import user_scope
from parley.db.turn_endings import Ending
from parley.db.turn_events import Entry
from parley.db.turn_pauses import Standing
from parley.ids import new_id

type Reason = Literal["requested", "denied", "approval_expired"]

DENIED = "Not run: the user denied this call."
_NOT_RUN: Mapping[Reason, str] = MappingProxyType(
    {
        "requested": "Not run: the user stopped the answer.",
        "denied": DENIED,
        "approval_expired": "Not run: the user did not say whether it may.",
    }
)


def end_waiting(engine: Engine, turn_id: UUID, *, user_id: UUID, reason: Reason) -> bool:
    """End a waiting turn as `turn.stopped`; False if it does not wait any more. What it has of an answer is kept.

    Its open calls get results that say why they were not run. Raises NotFound and Unavailable.
    """
    with user_scope(engine, user_id) as connection:
        turn = turn_pauses.locked(connection, turn_id, user_id=user_id, conversation_too=True)
        if turn.status != "waiting":
            return False
        turn_pauses.no_more_waiting(connection, turn_id, user_id=user_id)
        ending, conversation_id = _ending(turn, reason), turn.conversation_id
        done = turn_endings.finish(connection, turn_id, ending, user_id=user_id, conversation_id=conversation_id, was="waiting")
        return done is not None


def _ending(turn: Standing, reason: Reason) -> Ending:
    held, message_id, entries = turn.held, new_id(), []
    parts = AnswerParts(held.parts)
    for number, call in enumerate(parts.open_calls, turn.last_event + 1):
        parts.result(call["call_id"], ok=False, content=_NOT_RUN[reason])
        data = {"call_id": call["call_id"], "name": call["name"], "ok": False, "content": _NOT_RUN[reason], "elapsed_ms": 0.0}
        entries.append(Entry(number, "tool.result", data))
    usage = {"input_tokens": held.input_tokens, "output_tokens": held.output_tokens, "cost_usd": float(held.cost_usd)}
    last = turn.last_event + len(entries) + 1
    entries.append(Entry(last, "turn.stopped", {"message_id": str(message_id), "reason": reason, "usage": usage}))
    return Ending(
        "stopped",
        message_id,
        parts.stored(),
        turn.model,
        entries,
        last,
        input_tokens=held.input_tokens,
        output_tokens=held.output_tokens,
        cost_usd=held.cost_usd,
        first_token_ms=held.first_token_ms,
    )
