"""The second of a turn's two transactions: what was delivered is stored, whole or not, and paid for. It takes three statements."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from functions.chat.deadline import GRACE_S, Deadline
from functions.chat.desk import Desk
from functions.chat.errors import Stopped
from functions.chat.events import Answered, Numbered, TurnCompleted, TurnFailed, TurnInterrupted, TurnStopped
from functions.chat.replay import stored_end
from functions.chat.running import Turn
from parley import limits
from parley.db import turn_endings
from parley.db.scope import user_scope
from parley.db.turn_endings import Ending
from parley.db.turns import TurnStatus
from parley.errors import ParleyError, Unavailable
from parley.observability import logger

# A finished answer is worth waiting for a database that is just restarting.
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 2.0)


def end(desk: Desk, turn: Turn, outcome: ParleyError | None, *, deadline: Deadline) -> Numbered:
    """Store how the turn went and return its terminal event. Raises NotFound and Unavailable."""
    if outcome and not isinstance(outcome, Stopped):
        logger.warning("no whole answer", turn_id=str(turn.id), problem=outcome.code, reason=str(outcome))
    last = turn.journal.note(_terminal(turn, outcome))
    return _patiently(partial(_store, desk, turn, last), deadline)


def superseded(desk: Desk, turn: Turn, *, deadline: Deadline) -> Numbered:
    """Pay for a turn that another ended, who did not know its calls, and return the stored end. Raises NotFound and Unavailable."""
    _patiently(partial(_pay, desk, turn), deadline)
    return stored_end(desk.engine, turn.id, user_id=turn.user_id)


def _patiently[T](step: Callable[[], T], deadline: Deadline) -> T:
    for pause_s in PAUSES_S:
        try:
            return step()
        except Unavailable:
            if deadline.left_s + GRACE_S < pause_s + 1:
                raise
            time.sleep(pause_s)
    return step()


def _pay(desk: Desk, turn: Turn) -> None:
    with user_scope(desk.engine, turn.user_id) as connection:
        limits.settle(connection, turn.payer, turn.calls, reservations=turn.reservations, turn_id=turn.id)


def _terminal(turn: Turn, outcome: ParleyError | None) -> Answered | TurnFailed:
    match outcome:
        case None:
            reason = turn.finished.reason if turn.finished else "stop"
            return TurnCompleted(turn.answer_id, reason, turn.usage(), turn.model_id, turn.timings())
        case Stopped():
            return TurnStopped(turn.answer_id, "requested", turn.usage())
        case _ if turn.pieces:
            return TurnInterrupted(turn.answer_id, outcome.code, turn.usage())
        case _:
            return TurnFailed(outcome, turn.request_id)


def _store(desk: Desk, turn: Turn, last: Numbered) -> Numbered:
    """Store turn, answer and log together; where an attempt before this one had reached the database, change nothing."""
    ending = _ending(turn, last)
    with user_scope(desk.engine, turn.user_id) as connection:
        # Before the conversation is locked, in the order of a turn's beginning.
        limits.settle(connection, turn.payer, turn.calls, reservations=turn.reservations, turn_id=turn.id)
        ended = turn_endings.finish(connection, turn.id, ending, user_id=turn.user_id, conversation_id=turn.conversation_id)
    if ended is None:
        return stored_end(desk.engine, turn.id, user_id=turn.user_id)
    turn.follow_up = ended.follow_up
    if isinstance(last.event, TurnCompleted | TurnStopped | TurnInterrupted):
        return Numbered(last.number, replace(last.event, message=ended.answer))
    return last


def _ending(turn: Turn, last: Numbered) -> Ending:
    event, usage, timings = last.event, turn.usage(), turn.timings()
    failed = event.error.code if isinstance(event, TurnFailed) else None
    return Ending(
        status=_STATUSES[event.name],
        message_id=None if failed else turn.answer_id,
        parts=[{"type": "text", "text": turn.text}],
        model=turn.model_id,
        entries=turn.journal.pending(),
        last_event=last.number,
        error_code=event.reason if isinstance(event, TurnInterrupted) else failed,
        finish_reason=event.finish_reason if isinstance(event, TurnCompleted) else None,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=usage.cost_usd,
        first_token_ms=timings.first_token_ms,
        total_ms=timings.total_ms,
    )


_STATUSES: dict[str, TurnStatus] = {
    TurnCompleted.name: "completed",
    TurnStopped.name: "stopped",
    TurnInterrupted.name: "interrupted",
    TurnFailed.name: "failed",
}
