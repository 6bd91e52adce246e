"""The second of a turn's two transactions: what was delivered is stored, whole or not."""

import time
from typing import Any

from sqlalchemy import Connection, Engine

from functions.chat.events import TurnCompleted, TurnEvent, TurnFailed, TurnInterrupted
from functions.chat.running import Turn
from parley.db import messages, turns
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
        if failure and not turn.pieces:
            turns.finish(connection, turn.id, user_id=turn.user_id, status="failed", error_code=failure.code)
            return TurnFailed(failure)
        return _store_answer(connection, turn, failure)


def _store_answer(connection: Connection, turn: Turn, failure: ParleyError | None) -> TurnEvent:
    """Store turn and answer together; where an attempt before this one had reached the database, change nothing."""
    usage = turn.usage()
    status: turns.TurnStatus = "interrupted" if failure else "completed"
    fields: dict[str, Any] = {"error_code": failure.code if failure else None, "cost_usd": usage.cost_usd}
    fields |= {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    if turns.finish(connection, turn.id, user_id=turn.user_id, status=status, message_id=turn.answer_id, **fields):
        answer = messages.add(
            connection,
            turn.answer_id,
            user_id=turn.user_id,
            conversation_id=turn.conversation_id,
            role="assistant",
            parts=[{"type": "text", "text": turn.text}],
            model=turn.model_id,
            tokens=usage.output_tokens,
            status=status,
        )
    else:
        answer = messages.get(connection, turn.answer_id, user_id=turn.user_id)
    if failure:
        return TurnInterrupted(answer, failure.code, usage)
    reason = turn.finished.reason if turn.finished else "stop"
    return TurnCompleted(answer, reason, usage, turn.model_id, turn.timings())
