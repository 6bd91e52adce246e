"""The second of a turn's two transactions: what was delivered is stored, whole or not, and paid for. It takes three statements."""

import time

from sqlalchemy import Connection, Engine

from functions.chat.events import TurnCompleted, TurnEvent, TurnFailed, TurnInterrupted
from functions.chat.running import Turn
from parley import limits
from parley.db import turns
from parley.db.scope import user_scope
from parley.errors import ParleyError, Unavailable
from parley.observability import logger

# A finished answer is worth waiting for a database that is just restarting.
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 2.0)


def end(engine: Engine, turn: Turn, failure: ParleyError | None) -> TurnEvent:
    """Store how the turn went and return its terminal event. Raises NotFound and Unavailable."""
    if failure:
        logger.warning("no whole answer", turn_id=str(turn.id), problem=failure.code, reason=str(failure))
    for pause_s in PAUSES_S:
        try:
            return _store(engine, turn, failure)
        except Unavailable:
            time.sleep(pause_s)
    return _store(engine, turn, failure)


def _store(engine: Engine, turn: Turn, failure: ParleyError | None) -> TurnEvent:
    with user_scope(engine, turn.user_id) as connection:
        # Before the conversation is locked, in the order of a turn's beginning.
        limits.settle(connection, turn.payer, turn.calls, reservations=turn.reservations, turn_id=turn.id)
        if failure and not turn.pieces:
            turns.fail(connection, turn.id, user_id=turn.user_id, error_code=failure.code)
            return TurnFailed(failure)
        return _store_answer(connection, turn, failure)


def _store_answer(connection: Connection, turn: Turn, failure: ParleyError | None) -> TurnEvent:
    """Store turn and answer together; where an attempt before this one had reached the database, change nothing."""
    usage = turn.usage()
    answer = turns.answer(
        connection,
        turn.id,
        user_id=turn.user_id,
        conversation_id=turn.conversation_id,
        status="interrupted" if failure else "completed",
        message_id=turn.answer_id,
        parts=[{"type": "text", "text": turn.text}],
        model=turn.model_id,
        tokens=usage.output_tokens,
        error_code=failure.code if failure else None,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=usage.cost_usd,
    )
    if failure:
        return TurnInterrupted(answer, failure.code, usage)
    reason = turn.finished.reason if turn.finished else "stop"
    return TurnCompleted(answer, reason, usage, turn.model_id, turn.timings())
