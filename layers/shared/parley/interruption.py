"""The end of a turn whose function died: whoever meets it marks it, with what the log has of its answer."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Engine

from parley.db import turn_endings, turn_pauses, turns
from parley.db.answer_parts import AnswerParts
from parley.db.scope import user_scope
from parley.db.turn_endings import Ending
from parley.db.turn_events import Entry
from parley.db.turn_pauses import Held
from parley.ids import new_id
from parley.llm.tokens import estimate_tokens
from parley.observability import logger

REASON = "function_lost"


def interrupt_if_silent(engine: Engine, turn_id: UUID, *, user_id: UUID) -> bool:
    """Mark a running turn `interrupted` if its heart has stopped; False if it lives or has ended.

    What was logged of texts, calls of tools and results becomes the answer, also where that is nothing. Raises NotFound and Unavailable.
    """
    with user_scope(engine, user_id) as connection:
        turn = turns.get(connection, turn_id, user_id=user_id)
        if turn.status != "running":
            return False
        held = turn_pauses.held(connection, turn_id, user_id=user_id)
        ending = _ending(turn, held, turns.logged(connection, turn_id, user_id=user_id, after=held.upto))
        conversation_id = turn.conversation_id
        done = turn_endings.finish(connection, turn_id, ending, user_id=user_id, conversation_id=conversation_id, only_if_silent=True)
        is_done = done is not None
    if is_done:
        logger.warning("a turn lost its function", turn_id=str(turn_id))
    return is_done


def _ending(turn: turns.Record, held: Held, logged: Sequence[Entry]) -> Ending:
    message_id, number = new_id(), turn.last_event + 1
    said = "".join(entry.text for entry in logged)
    output_tokens = held.output_tokens + (estimate_tokens(said) if said else 0)
    usage = {"input_tokens": held.input_tokens, "output_tokens": output_tokens, "cost_usd": float(held.cost_usd)}
    last = Entry(number, "turn.interrupted", {"message_id": str(message_id), "reason": REASON, "usage": usage})
    return Ending(
        "interrupted",
        message_id,
        AnswerParts.of_log(logged, before=held.parts).stored(),
        turn.model,
        [last],
        number,
        error_code=REASON,
        input_tokens=held.input_tokens,
        output_tokens=output_tokens,
        cost_usd=held.cost_usd,
    )
