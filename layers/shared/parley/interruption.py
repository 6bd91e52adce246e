"""The end of a turn whose function died: whoever meets it marks it, with what the log has of its answer, and pays for it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine

from parley.db import claims, turn_endings, turns
from parley.db.scope import user_scope
from parley.db.turn_endings import Ending
from parley.db.turn_events import Entry
from parley.db.usage import Charge
from parley.ids import new_id
from parley.llm.tokens import estimate_tokens
from parley.observability import logger

REASON = "function_lost"


class _LivesOn(Exception):
    """The turn was ended meanwhile, or its heart beats again: what was paid for it here is undone."""


def interrupt_if_silent(engine: Engine, turn_id: UUID, *, user_id: UUID) -> bool:
    """Mark a running turn `interrupted` if its heart has stopped; False if it lives or has ended.

    The logged text becomes the answer, also where it is empty, and its calls are paid for by an estimate. Raises NotFound
    and Unavailable.
    """
    try:
        with user_scope(engine, user_id) as connection:
            turn = turns.get(connection, turn_id, user_id=user_id)
            if turn.status != "running":
                return False
            _interrupt(connection, turn, user_id=user_id)
    except _LivesOn:
        return False
    logger.warning("a turn lost its function", turn_id=str(turn_id))
    return True


def _interrupt(connection: Connection, turn: turns.Record, *, user_id: UUID) -> None:
    said = turns.said(connection, turn.id, user_id=user_id)
    output_tokens = estimate_tokens(said) if said else 0
    # Before the conversation is locked, in the order of a turn's beginning.
    charges = claims.settle_lost(connection, turn.id, user_id=user_id, output_tokens=output_tokens)
    ending = _ending(turn, said, charges, output_tokens=output_tokens)
    of = {"user_id": user_id, "conversation_id": turn.conversation_id}
    if turn_endings.finish(connection, turn.id, ending, **of, only_if_silent=True) is False:
        raise _LivesOn


def _ending(turn: turns.Record, said: str, charges: Sequence[Charge], *, output_tokens: int) -> Ending:
    message_id, number = new_id(), turn.last_event + 1
    input_tokens = sum(one.input_tokens for one in charges)
    cost_usd = sum((one.cost_usd for one in charges), Decimal(0))
    usage: dict[str, Any] = {"input_tokens": input_tokens, "output_tokens": output_tokens, "cost_usd": float(cost_usd)}
    last = Entry(number, "turn.interrupted", {"message_id": str(message_id), "reason": REASON, "usage": usage})
    return Ending(
        "interrupted",
        message_id,
        [{"type": "text", "text": said}],
        turn.model,
        [last],
        number,
        error_code=REASON,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=cost_usd,
    )
