"""A turn: one question and its answer.

One short transaction stores the question, and another the answer; no transaction is open while a model answers or a tool runs.
Between them, the tool loop runs in rounds: it calls the model, runs the tool calls in parallel, and calls the model again with
their results, until the model calls no tool. One thread reads the provider's stream, and each tool call has its own thread.
Twice a second, one statement logs the new events, refreshes the heartbeat, and checks whether the turn was stopped.

If a tool call needs the user's approval or answer, the turn pauses: this invocation ends, and the last decision resumes the turn in a
new one.
If a client loses its connection, the turn continues, and the client reads the rest from the log.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from uuid import UUID

from functions.chat.services import ChatServices
from functions.chat.turn.approvals import AlreadyResumed, Decision, decide, pause_turn
from functions.chat.turn.begin import begin_turn
from functions.chat.turn.events import (
    IncompleteAnswer,
    NumberedEvent,
    Ping,
    ReplayedEvent,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
    TurnStopped,
)
from functions.chat.turn.heartbeat import Heartbeat, Watchdog
from functions.chat.turn.question import Question
from functions.chat.turn.replay import follow_events, stored_terminal_event
from functions.chat.turn.retrieval import retrieve
from functions.chat.turn.state import ApprovalsPending, StopRequested, Superseded, Turn
from functions.chat.turn.tool_loop import run_tool_loop
from parley.auth.principal import Principal
from parley.db.engine import Engine
from parley.db.transactions import user_scope
from parley.db.turn import turn_end, turns
from parley.db.turn.turn_begin import ExistingTurn, IdempotencyKey
from parley.db.turn.turn_end import TurnResult
from parley.db.turn.turns import TurnStatus
from parley.deadline import Deadline, retry_while_unavailable
from parley.errors import ParleyError, Unavailable
from parley.jobs import DeliverEvent
from parley.metering import limits
from parley.metering.budget_alert import note_budget_warning
from parley.metering.metered_call import count_spending
from parley.metering.passage_vectors import embed_passages
from parley.observability import add_log_context, logger, put_metrics


@dataclass(frozen=True, slots=True)
class ResumedTurn:
    """The events of a turn since its pause, and its conversation."""

    conversation_id: UUID
    events: Generator[NumberedEvent | Ping]


def take_turn(
    services: ChatServices,
    principal: Principal,
    question: Question,
    *,
    deadline: Deadline,
    idempotency_key: IdempotencyKey | None = None,
    joins_after: int | None = None,
    request_id: str = "",
) -> Generator[NumberedEvent | Ping]:
    """Store the question, yield the answer's events as they arrive, and store the answer.

    Yields `turn.started`, the other events, and exactly one last event, terminal or `turn.waiting`. If `idempotency_key` began an
    earlier turn, yields that turn's events from its log, after number `joins_after`. Without that number, a turn that is running is
    refused. If the turn is refused, raises the errors of `begin_turn` before the first event.
    """
    joins = joins_after is not None
    turn = begin_turn(services, principal, question, deadline=deadline, idempotency_key=idempotency_key, joins=joins)
    if isinstance(turn, ExistingTurn):
        yield from _follow(services, principal, turn.id, after=joins_after or 0, deadline=deadline)
        return
    turn.request_id = request_id
    yield from _run_to_the_end(chain([turn.started], run_turn(services, turn, deadline)))


def resume_turn(
    services: ChatServices, principal: Principal, decision: Decision, *, deadline: Deadline, request_id: str = ""
) -> ResumedTurn | None:
    """Store the decision on a pending tool call or question. After the last decision, resume the turn and return its remaining events.

    Returns None while other calls wait for a decision. If the turn has already resumed, a repeated decision returns the events since
    its pause. Raises the errors of `decide`.
    """
    turn = decide(services, principal, decision, deadline)
    if turn is None:
        return None
    if isinstance(turn, AlreadyResumed):
        events = _follow(services, principal, decision.turn_id, after=turn.after, deadline=deadline)
        return ResumedTurn(turn.conversation_id, events)
    turn.request_id = request_id
    return ResumedTurn(turn.conversation_id, _run_to_the_end(chain([Ping()], run_turn(services, turn, deadline))))


def run_turn(services: ChatServices, turn: Turn, deadline: Deadline) -> Iterator[NumberedEvent | Ping]:
    """Run a turn that has begun until it ends or pauses.

    The follow-up jobs are queued, and the turn's passages embedded, after the last event, so that no client waits for them. Exhaust or
    close the events before the invocation ends: Lambda then freezes the worker.
    """
    add_log_context(turn_id=turn.id)
    with closing(Watchdog(services.queue, user_id=turn.user_id, turn_id=turn.id)) as watchdog:
        outcome: ParleyError | None = None
        try:
            yield from retrieve(services, turn)
            yield from run_tool_loop(services, turn, Heartbeat(services.engine, turn, watchdog, deadline))
        except ApprovalsPending as exc:
            yield from map(turn.add_approval_request, exc.calls)
            yield from map(turn.add_question, exc.questions)
            outcome = exc
        except ParleyError as exc:
            outcome = exc
        except Exception as exc:  # the outermost handler of a turn: whatever happened, the turn ends
            logger.exception("turn_crashed", turn_id=str(turn.id))
            outcome = ParleyError(repr(exc))
        last = store_outcome(services.engine, turn, outcome, deadline=deadline)
        yield last
        _count_turn(turn, last)
        queue_follow_up(services, turn)
        embed_passages(services.embedding, turn.passages, billing_subject=turn.billing_subject)


def queue_follow_up(services: ChatServices, turn: Turn) -> None:
    """Queue the turn's committed outbox entries and events, if there are any. If the queue is unavailable, the sweep sends them later."""
    if turn.follow_up:
        services.memory_queue.send_entries(turn.follow_up)
    if turn.deliveries or any(reservation.is_low for reservation in turn.reservations):
        _send_events(services, turn)


def _send_events(services: ChatServices, turn: Turn) -> None:
    """Warn of a budget that is nearly spent, and queue the turn's noted events. A lost message is sent again by the upkeep function."""
    noted = list(turn.deliveries)
    try:
        with user_scope(services.engine, turn.user_id) as connection:
            noted += note_budget_warning(connection, turn.billing_subject, default_usd=services.default_limits.budget_usd)
    except Unavailable:
        logger.exception("budget_warning_not_noted")
    for delivery_id in noted:
        services.queue.send_later(DeliverEvent(turn.user_id, delivery_id))


def _count_turn(turn: Turn, last: NumberedEvent) -> None:
    """Put the turn's outcome, its first token and its spending into the metrics. A turn that another process ended is counted there."""
    if isinstance(last.event, ReplayedEvent):
        return
    first_token_ms = None if turn.resumed_from.first_token_ms else turn.first_token_ms
    outcome = last.event.name.removeprefix("turn.")
    put_metrics({"Turns": 1} | ({"FirstTokenMs": first_token_ms} if first_token_ms else {}), outcome=outcome, model=turn.model_id)
    count_spending(turn.billed_calls, purpose="chat")


def _follow(
    services: ChatServices, principal: Principal, turn_id: UUID, *, after: int, deadline: Deadline
) -> Generator[NumberedEvent | Ping]:
    return follow_events(
        services.engine,
        turn_id,
        user_id=principal.user_id,
        after=after,
        deadline=deadline,
        max_followers=services.stream_limits.followers,
        principal=principal,
    )


def _run_to_the_end(events: Iterator[NumberedEvent | Ping]) -> Generator[NumberedEvent | Ping]:
    """Yield the events. If the client disconnects, run the turn to its end anyway."""
    try:
        for event in events:  # noqa: UP028 - `yield from` would close `events` too, and so break off the turn
            yield event
    except GeneratorExit:
        for _ in events:
            pass
        raise


_STATUSES: dict[str, TurnStatus] = {
    TurnCompleted.name: "completed",
    TurnStopped.name: "stopped",
    TurnInterrupted.name: "interrupted",
    TurnFailed.name: "failed",
}


class _AlreadyEnded(Exception):
    """The turn has already ended. Raised to roll back the settlement."""


def store_outcome(engine: Engine, turn: Turn, outcome: ParleyError | None, *, deadline: Deadline) -> NumberedEvent:
    """Store the turn's outcome and return its last event. `outcome` is None if the answer is complete.

    Never raises: if the outcome cannot be stored, the event is `turn.failed`.
    """
    try:
        if isinstance(outcome, Superseded):
            return leave_superseded_turn(engine, turn, deadline=deadline)
        if isinstance(outcome, ApprovalsPending):
            if paused := pause_turn(engine, turn, outcome, deadline=deadline):
                return paused
            outcome = StopRequested(f"turn {turn.id}")
        return finish_turn(engine, turn, outcome, deadline=deadline)
    except Exception as exc:  # as in `run_turn`: the client always gets a last event
        logger.exception("turn_end_not_stored", turn_id=str(turn.id))
        return turn.event_buffer.add(TurnFailed(exc if isinstance(exc, ParleyError) else ParleyError(repr(exc)), turn.request_id))


def finish_turn(engine: Engine, turn: Turn, outcome: ParleyError | None, *, deadline: Deadline) -> NumberedEvent:
    """Store the answer and return the terminal event. Raises NotFound and Unavailable."""
    if outcome and not isinstance(outcome, StopRequested):
        logger.warning("turn_failed", turn_id=str(turn.id), problem=outcome.code, reason=str(outcome))
    last = turn.event_buffer.add(_terminal_event(turn, outcome))
    return retry_while_unavailable(partial(_store_result, engine, turn, last), deadline)


def leave_superseded_turn(engine: Engine, turn: Turn, *, deadline: Deadline) -> NumberedEvent:
    """Release the reservations of a turn that another process ended and paid for; return its stored terminal event.

    Raises NotFound and Unavailable.
    """
    return retry_while_unavailable(partial(_release_reservations, engine, turn), deadline)


def _terminal_event(turn: Turn, outcome: ParleyError | None) -> TurnCompleted | TurnStopped | TurnInterrupted | TurnFailed:
    match outcome:
        case None:
            reason = turn.finished.reason if turn.finished else "stop"
            return TurnCompleted(turn.answer_id, reason, turn.usage(), turn.model_id, turn.timings(), retrieval=turn.retrieval)
        case StopRequested():
            return TurnStopped(turn.answer_id, outcome.reason, turn.usage(), turn.timings(), retrieval=turn.retrieval)
        case _ if turn.parts.text or turn.parts.tool_calls:
            return TurnInterrupted(turn.answer_id, outcome.code, turn.usage(), turn.timings(), retrieval=turn.retrieval)
        case _:
            return TurnFailed(outcome, turn.request_id)


def _store_result(engine: Engine, turn: Turn, last: NumberedEvent) -> NumberedEvent:
    """Store turn, answer and log together. If an earlier attempt or another process ended the turn, only release reservations."""
    result = _turn_result(turn, last)
    try:
        with user_scope(engine, turn.user_id) as connection:
            # Settle before the conversation is locked: the first transaction of a turn takes its locks in the same order.
            limits.settle(connection, turn.billing_subject, turn.billed_calls, reservations=turn.reservations, turn_id=turn.id)
            ended = turn_end.finish(connection, turn.id, result, user_id=turn.user_id, conversation_id=turn.conversation_id)
            if ended is None:
                raise _AlreadyEnded
    except _AlreadyEnded:
        return _release_reservations(engine, turn)
    turn.follow_up, turn.passages = ended.follow_up, ended.passages
    if isinstance(last.event, TurnCompleted | IncompleteAnswer):
        return NumberedEvent(last.number, replace(last.event, message=ended.answer))
    return last


def _release_reservations(engine: Engine, turn: Turn) -> NumberedEvent:
    """Release the turn's reservations and return its stored terminal event.

    The process that ended the turn has paid for its calls. If the turn was deleted with its conversation, this function pays for
    them.
    """
    with user_scope(engine, turn.user_id) as connection:
        calls = [] if turns.exists(connection, turn.id, user_id=turn.user_id) else turn.billed_calls
        limits.settle(connection, turn.billing_subject, calls, reservations=turn.reservations, turn_id=turn.id)
    return stored_terminal_event(engine, turn.id, user_id=turn.user_id)


def _turn_result(turn: Turn, last: NumberedEvent) -> TurnResult:
    event, usage = last.event, turn.usage()
    # The client and the history are told the same duration.
    timings = event.timings if isinstance(event, TurnCompleted | IncompleteAnswer) else turn.timings()
    failure_code = event.error.code if isinstance(event, TurnFailed) else None
    return TurnResult(
        status=_STATUSES[event.name],
        message_id=None if failure_code else turn.answer_id,
        parts=turn.parts.stored(),
        model=turn.model_id,
        entries=turn.event_buffer.pending(),
        last_event=last.number,
        error_code=event.reason if isinstance(event, TurnInterrupted) else failure_code,
        finish_reason=event.finish_reason if isinstance(event, TurnCompleted) else None,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=usage.cost_usd,
        first_token_ms=timings.first_token_ms,
        total_ms=timings.total_ms,
        question=turn.context.question.text,
    )
