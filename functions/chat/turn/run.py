"""A turn: one question and its answer.

Two short transactions, and none open while a model answers or a tool runs: the first stores the question, the second the
answer. Between them the tool loop runs in rounds: the model is called, its tool calls run side by side, and it is called
again with their results, until it asks for no tool. One thread reads the provider and one runs each tool; meanwhile, twice
a second, one statement logs the new events, refreshes the heartbeat, and asks whether the turn was stopped. Where a tool
call needs the user's approval, the turn pauses: this function ends, and another resumes the turn after the last decision.
Clients read the log, not this function.

The second transaction stores what was delivered, complete or not, and pays for it, in three statements.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from uuid import UUID

from functions.chat.services import ChatServices
from functions.chat.turn.approvals import AlreadyResumed, Decision, decide
from functions.chat.turn.begin import begin_turn
from functions.chat.turn.events import (
    IncompleteAnswer,
    NumberedEvent,
    Ping,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
    TurnStopped,
    TurnWaiting,
)
from functions.chat.turn.heartbeat import FollowUpSender, Heartbeat, Watchdog
from functions.chat.turn.question import Question
from functions.chat.turn.replay import follow_events, stored_terminal_event
from functions.chat.turn.retrieval import retrieve
from functions.chat.turn.state import ApprovalsPending, StopRequested, Superseded, Turn
from functions.chat.turn.tool_loop import run_tool_loop
from parley.auth.principal import Principal
from parley.db.transactions import user_scope
from parley.db.turn import turn_checkpoint, turn_end, turns
from parley.db.turn.approvals import Approval
from parley.db.turn.turn_begin import ExistingTurn, IdempotencyKey
from parley.db.turn.turn_end import TurnResult
from parley.db.turn.turns import TurnStatus
from parley.deadline import Deadline, retry_while_unavailable
from parley.errors import ParleyError
from parley.metering import limits
from parley.observability import logger


@dataclass(frozen=True, slots=True)
class ResumedTurn:
    """The events of a turn from where it had paused, and its conversation."""

    conversation_id: UUID
    events: Generator[NumberedEvent | Ping]


def take_turn(
    services: ChatServices,
    principal: Principal,
    question: Question,
    *,
    deadline: Deadline,
    idempotency_key: IdempotencyKey | None = None,
    request_id: str = "",
) -> Generator[NumberedEvent | Ping]:
    """Store the question, answer it, pass the answer on as it comes, store it.

    Yields `TurnStarted`, texts, calls of tools and their results, and exactly one terminal event, which may be `TurnWaiting`; of a
    turn that was taken with the same key before, what its log has. Raises before the first event where there is nothing to
    answer: see `begin_with_images`.
    """
    begun = begin_turn(services, principal, question, deadline=deadline, idempotency_key=idempotency_key)
    if isinstance(begun, ExistingTurn):
        yield from follow_events(services.engine, begun.id, user_id=principal.user_id, after=0, deadline=deadline)
        return
    begun.request_id = request_id
    yield from _run_to_the_end(chain([begun.started], run_turn(services, begun, deadline)))


def resume_turn(
    services: ChatServices, principal: Principal, decision: Decision, *, deadline: Deadline, request_id: str = ""
) -> ResumedTurn | None:
    """Note what the user says to a call that waits; if it was the last word, go on with the turn and return its further events.

    None while other calls wait. Where the same was said before, they are what has come since. Raises as `decide` does.
    """
    found = decide(services, principal, decision)
    if isinstance(found, AlreadyResumed):
        since = follow_events(services.engine, decision.turn_id, user_id=principal.user_id, after=found.after, deadline=deadline)
        return ResumedTurn(found.conversation_id, since)
    if found is None:
        return None
    found.request_id = request_id
    return ResumedTurn(found.conversation_id, _run_to_the_end(chain([Ping()], run_turn(services, found, deadline))))


def run_turn(services: ChatServices, turn: Turn, deadline: Deadline) -> Iterator[NumberedEvent | Ping]:
    """Take a turn that has begun to its end, or to a pause."""
    with (
        closing(FollowUpSender(services.memory_queue)) as follow_up,
        closing(Watchdog(services.queue, user_id=turn.user_id, turn_id=turn.id)) as watchdog,
    ):
        outcome: ParleyError | None = None
        try:
            yield from retrieve(services, turn)
            yield from run_tool_loop(services, turn, Heartbeat(services.engine, turn, watchdog, deadline))
        except ApprovalsPending as exc:
            yield from map(turn.add_approval_request, exc.calls)
            outcome = exc
        except ParleyError as exc:
            outcome = exc
        except Exception as exc:  # a turn's outermost handler: whatever happened, the turn ends
            logger.exception("a turn broke")
            outcome = ParleyError(repr(exc))
        last = _store_outcome(services, turn, outcome, deadline)
        follow_up.send(turn.follow_up)
        yield last


def _store_outcome(services: ChatServices, turn: Turn, outcome: ParleyError | None, deadline: Deadline) -> NumberedEvent:
    try:
        if isinstance(outcome, Superseded):
            return leave_superseded_turn(services, turn, deadline=deadline)
        if isinstance(outcome, ApprovalsPending):
            return pause_turn(services, turn, outcome, deadline=deadline)
        return finish_turn(services, turn, outcome, deadline=deadline)
    except Exception as exc:  # as above
        logger.exception("the end of a turn could not be stored", turn_id=str(turn.id))
        return turn.event_buffer.add(TurnFailed(exc if isinstance(exc, ParleyError) else ParleyError(repr(exc)), turn.request_id))


def _run_to_the_end(events: Iterator[NumberedEvent | Ping]) -> Generator[NumberedEvent | Ping]:
    """Pass on the events; where nobody hears them any more, let the turn go on to its end all the same."""
    try:
        for event in events:  # noqa: UP028 - `yield from` would hand the closing on, and break the turn off
            yield event
    except GeneratorExit:
        for _ in events:
            pass
        raise


class _AlreadyEnded(Exception):
    """The turn was ended before: what was paid for it now is undone."""


def finish_turn(services: ChatServices, turn: Turn, outcome: ParleyError | None, *, deadline: Deadline) -> NumberedEvent:
    """Store how the turn went and return its terminal event. Raises NotFound and Unavailable."""
    if outcome and not isinstance(outcome, StopRequested):
        logger.warning("no whole answer", turn_id=str(turn.id), problem=outcome.code, reason=str(outcome))
    last = turn.event_buffer.add(_terminal_event(turn, outcome))
    return retry_while_unavailable(partial(_store_result, services, turn, last), deadline)


def leave_superseded_turn(services: ChatServices, turn: Turn, *, deadline: Deadline) -> NumberedEvent:
    """Return the stored end of a turn that another ended, and paid for. Raises NotFound and Unavailable."""
    return retry_while_unavailable(partial(_release_reservations, services, turn), deadline)


def _release_reservations(services: ChatServices, turn: Turn) -> NumberedEvent:
    """Free what is still reserved: who ends a turn pays for it. One that went with its conversation was ended by nobody."""
    with user_scope(services.engine, turn.user_id) as connection:
        calls = [] if turns.exists(connection, turn.id, user_id=turn.user_id) else turn.billed_calls
        limits.settle(connection, turn.billing_subject, calls, reservations=turn.reservations, turn_id=turn.id)
    return stored_terminal_event(services.engine, turn.id, user_id=turn.user_id)


def _terminal_event(turn: Turn, outcome: ParleyError | None) -> TurnCompleted | TurnStopped | TurnInterrupted | TurnFailed:
    match outcome:
        case None:
            reason = turn.finished.reason if turn.finished else "stop"
            return TurnCompleted(turn.answer_id, reason, turn.usage(), turn.model_id, turn.timings())
        case StopRequested():
            return TurnStopped(turn.answer_id, "requested", turn.usage())
        case _ if turn.parts.text or turn.parts.tool_calls:
            return TurnInterrupted(turn.answer_id, outcome.code, turn.usage())
        case _:
            return TurnFailed(outcome, turn.request_id)


def _store_result(services: ChatServices, turn: Turn, last: NumberedEvent) -> NumberedEvent:
    """Store turn, answer and log together; where an attempt before this one had reached the database, change nothing."""
    ending = _turn_result(turn, last)
    try:
        with user_scope(services.engine, turn.user_id) as connection:
            # Before the conversation is locked, in the order of a turn's beginning.
            limits.settle(connection, turn.billing_subject, turn.billed_calls, reservations=turn.reservations, turn_id=turn.id)
            ended = turn_end.finish(connection, turn.id, ending, user_id=turn.user_id, conversation_id=turn.conversation_id)
            if ended is None:
                raise _AlreadyEnded
    except _AlreadyEnded:
        return _release_reservations(services, turn)
    turn.follow_up = ended.follow_up
    if isinstance(last.event, TurnCompleted | IncompleteAnswer):
        return NumberedEvent(last.number, replace(last.event, message=ended.answer))
    return last


def _turn_result(turn: Turn, last: NumberedEvent) -> TurnResult:
    event, usage, timings = last.event, turn.usage(), turn.timings()
    failed = event.error.code if isinstance(event, TurnFailed) else None
    return TurnResult(
        status=_STATUSES[event.name],
        message_id=None if failed else turn.answer_id,
        parts=turn.parts.stored(),
        model=turn.model_id,
        entries=turn.event_buffer.pending(),
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


class _PauseRefused(Exception):
    """The turn is not to pause: what was paid for it now is undone, and left to who ends it."""


def pause_turn(services: ChatServices, turn: Turn, waits: ApprovalsPending, *, deadline: Deadline) -> NumberedEvent:
    """Let the turn wait for its user's word and return `TurnWaiting`; the end, if it was stopped just now.

    Raises NotFound and Unavailable.
    """
    last = turn.event_buffer.add(TurnWaiting([call.call_id for call in waits.calls]))
    try:
        retry_while_unavailable(partial(_store_checkpoint, services, turn, waits, last), deadline)
    except _PauseRefused:
        turn.event_buffer.discard_last()
        return finish_turn(services, turn, StopRequested(f"turn {turn.id}"), deadline=deadline)
    return last


def _store_checkpoint(services: ChatServices, turn: Turn, waits: ApprovalsPending, last: NumberedEvent) -> None:
    asked = [Approval(call.call_id, call.name, call.arguments) for call in waits.calls]
    with user_scope(services.engine, turn.user_id) as connection:
        limits.settle(connection, turn.billing_subject, turn.billed_calls, reservations=turn.reservations, turn_id=turn.id)
        checkpoint, entries = turn.checkpoint(upto=last.number), turn.event_buffer.pending()
        paused = turn_checkpoint.pause(connection, turn.id, checkpoint, asked, user_id=turn.user_id, entries=entries)
        if not paused.is_done and paused.last_event < last.number:
            raise _PauseRefused
