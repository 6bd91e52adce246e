"""The end of a turn whose function died: whoever meets it marks it, with what the log has of its answer."""

from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from parley.db import turn_endings, turns
from parley.db.scope import user_scope
from parley.db.turn_endings import Ending
from parley.db.turn_events import Entry
from parley.ids import new_id
from parley.llm.tokens import estimate_tokens
from parley.observability import logger

REASON = "function_lost"


def interrupt_if_silent(engine: Engine, turn_id: UUID, *, user_id: UUID) -> bool:
    """Mark a running turn `interrupted` if its heart has stopped; False if it lives or has ended.

    The logged text becomes the answer, also where it is empty. Raises NotFound and Unavailable.
    """
    with user_scope(engine, user_id) as connection:
        turn = turns.get(connection, turn_id, user_id=user_id)
        if turn.status != "running":
            return False
        ending = _ending(turn, turns.said(connection, turn_id, user_id=user_id))
        of = {"user_id": user_id, "conversation_id": turn.conversation_id}
        is_done = turn_endings.finish(connection, turn_id, ending, **of, only_if_silent=True) is not None
    if is_done:
        logger.warning("a turn lost its function", turn_id=str(turn_id))
    return is_done


def _ending(turn: turns.Record, said: str) -> Ending:
    message_id, number = new_id(), turn.last_event + 1
    output_tokens = estimate_tokens(said) if said else 0
    usage: dict[str, Any] = {"input_tokens": 0, "output_tokens": output_tokens, "cost_usd": 0.0}
    last = Entry(number, "turn.interrupted", {"message_id": str(message_id), "reason": REASON, "usage": usage})
    return Ending(
        "interrupted",
        message_id,
        [{"type": "text", "text": said}],
        turn.model,
        [last],
        number,
        error_code=REASON,
        output_tokens=output_tokens,
    )
