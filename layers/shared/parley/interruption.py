"""The end of a turn whose function died: whoever meets it marks it, with what the log has of its answer, and pays for it."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, Engine

from parley.db import claims, turn_endings, turn_pauses, turns
from parley.db.answer_parts import AnswerParts
from parley.db.claims import Spent
from parley.db.scope import user_scope
from parley.db.turn_endings import Ending
from parley.db.turn_events import Entry
from parley.db.turn_pauses import Held
from parley.ids import new_id
from parley.llm.tokens import estimate_tokens
from parley.observability import logger

REASON = "function_lost"


class _LivesOn(Exception):
    """The turn was ended meanwhile, or its heart beats again: what was paid for it here is undone."""


def interrupt_if_silent(engine: Engine, turn_id: UUID, *, user_id: UUID) -> bool:
    """Mark a running turn `interrupted` if its heart has stopped; False if it lives or has ended.

    What was logged of texts, calls of tools and results becomes the answer, also where that is nothing, and its calls are paid
    for by an estimate. Raises NotFound and Unavailable.
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
    held = turn_pauses.held(connection, turn.id, user_id=user_id)
    logged = turns.logged(connection, turn.id, user_id=user_id, after=held.upto)
    said = "".join(entry.text for entry in logged)
    output_tokens = held.output_tokens + (estimate_tokens(said) if said else 0)
    # Before the conversation is locked, in the order of a turn's beginning.
    spent = claims.settle_lost(connection, turn.id, user_id=user_id, output_tokens=output_tokens)
    ending, conversation_id = _ending(turn, held, logged, spent), turn.conversation_id
    done = turn_endings.finish(connection, turn.id, ending, user_id=user_id, conversation_id=conversation_id, only_if_silent=True)
    if done is None:
        raise _LivesOn


def _ending(turn: turns.Record, held: Held, logged: Sequence[Entry], spent: Spent) -> Ending:
    message_id, number = new_id(), turn.last_event + 1
    usage = {"input_tokens": spent.input_tokens, "output_tokens": spent.output_tokens, "cost_usd": float(spent.cost_usd)}
    last = Entry(number, "turn.interrupted", {"message_id": str(message_id), "reason": REASON, "usage": usage})
    return Ending(
        "interrupted",
        message_id,
        AnswerParts.of_log(logged, before=held.parts).stored(),
        turn.model,
        [last],
        number,
        error_code=REASON,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        cost_usd=spent.cost_usd,
    )
