"""The second of a turn's two transactions: what was delivered is stored, whole or not, and paid for. It takes three statements."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from functions.chat.desk import Desk
from functions.chat.errors import Stopped
from functions.chat.events import BrokenOff, Numbered, TurnCompleted, TurnFailed, TurnInterrupted, TurnStopped
from functions.chat.replay import stored_end
from functions.chat.running import Turn
from parley.db.transactions import user_scope
from parley.db.turn import turn_end, turns
from parley.db.turn.turn_end import TurnResult
from parley.db.turn.turns import TurnStatus
from parley.deadline import GRACE_S, Deadline
from parley.errors import ParleyError, Unavailable
from parley.metering import limits
from parley.observability import logger

# A finished answer is worth waiting for a database that is just restarting.
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 2.0)


class _HasEnded(Exception):
    """The turn was ended before: what was paid for it now is undone."""


def end(services: Desk, turn: Turn, outcome: ParleyError | None, *, deadline: Deadline) -> Numbered:
    """Store how the turn went and return its terminal event. Raises NotFound and Unavailable."""
    if outcome and not isinstance(outcome, Stopped):
        logger.warning("no whole answer", turn_id=str(turn.id), problem=outcome.code, reason=str(outcome))
    last = turn.journal.note(_terminal(turn, outcome))
    return patiently(partial(_store, services, turn, last), deadline)


def superseded(services: Desk, turn: Turn, *, deadline: Deadline) -> Numbered:
    """Return the stored end of a turn that another ended, and paid for. Raises NotFound and Unavailable."""
    return patiently(partial(_leave, services, turn), deadline)


def patiently[T](step: Callable[[], T], deadline: Deadline) -> T:
    """Do a step that may be done twice, again while the database is away for a moment. Raises Unavailable."""
    for pause_s in PAUSES_S:
        try:
            return step()
        except Unavailable:
            if deadline.left_s + GRACE_S < pause_s + 1:
                raise
            time.sleep(pause_s)
    return step()


def _leave(services: Desk, turn: Turn) -> Numbered:
    """Free what is still reserved: who ends a turn pays for it. One that went with its conversation was ended by nobody."""
    with user_scope(services.engine, turn.user_id) as connection:
        calls = [] if turns.exists(connection, turn.id, user_id=turn.user_id) else turn.billed
        limits.settle(connection, turn.billing_subject, calls, reservations=turn.reservations, turn_id=turn.id)
    return stored_end(services.engine, turn.id, user_id=turn.user_id)


def _terminal(turn: Turn, outcome: ParleyError | None) -> TurnCompleted | TurnStopped | TurnInterrupted | TurnFailed:
    match outcome:
        case None:
            reason = turn.finished.reason if turn.finished else "stop"
            return TurnCompleted(turn.answer_id, reason, turn.usage(), turn.model_id, turn.timings())
        case Stopped():
            return TurnStopped(turn.answer_id, "requested", turn.usage())
        case _ if turn.parts.text or turn.parts.calls:
            return TurnInterrupted(turn.answer_id, outcome.code, turn.usage())
        case _:
            return TurnFailed(outcome, turn.request_id)


def _store(services: Desk, turn: Turn, last: Numbered) -> Numbered:
    """Store turn, answer and log together; where an attempt before this one had reached the database, change nothing."""
    ending = _ending(turn, last)
    try:
        with user_scope(services.engine, turn.user_id) as connection:
            # Before the conversation is locked, in the order of a turn's beginning.
            limits.settle(connection, turn.billing_subject, turn.billed, reservations=turn.reservations, turn_id=turn.id)
            ended = turn_end.finish(connection, turn.id, ending, user_id=turn.user_id, conversation_id=turn.conversation_id)
            if ended is None:
                raise _HasEnded
    except _HasEnded:
        return _leave(services, turn)
    turn.follow_up = ended.follow_up
    if isinstance(last.event, TurnCompleted | BrokenOff):
        return Numbered(last.number, replace(last.event, message=ended.answer))
    return last


def _ending(turn: Turn, last: Numbered) -> TurnResult:
    event, usage, timings = last.event, turn.usage(), turn.timings()
    failed = event.error.code if isinstance(event, TurnFailed) else None
    return TurnResult(
        status=_STATUSES[event.name],
        message_id=None if failed else turn.answer_id,
        parts=turn.parts.stored(),
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
