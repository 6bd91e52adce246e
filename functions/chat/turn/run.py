"""A turn: one question and its answer.

A turn has two short transactions, and none is open while a model answers or a tool runs: the first stores the question, the
second the answer. Between them the tool loop runs in rounds: it calls the model, runs the tool calls side by side, and calls the
model again with their results, until the model calls no tool. One thread reads the provider and one runs each tool. Meanwhile,
twice a second, one statement logs the new events, refreshes the heartbeat, and asks whether the turn was stopped.

If a tool call needs the user's approval, the turn pauses: this function ends, and another resumes the turn after the last
decision. A client that loses its connection reads the rest from the log; the turn continues without it.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from uuid import UUID

from functions.chat.services import ChatServices
from functions.chat.turn.approvals import AlreadyResumed, Decision, decide
from functions.chat.turn.begin import begin_turn
from functions.chat.turn.events import NumberedEvent, Ping
from functions.chat.turn.finish import store_outcome
from functions.chat.turn.heartbeat import FollowUpSender, Heartbeat, Watchdog
from functions.chat.turn.question import Question
from functions.chat.turn.replay import follow_events
from functions.chat.turn.retrieval import retrieve
from functions.chat.turn.state import ApprovalsPending, Turn
from functions.chat.turn.tool_loop import run_tool_loop
from parley.auth.principal import Principal
from parley.db.turn.turn_begin import ExistingTurn, IdempotencyKey
from parley.deadline import Deadline
from parley.errors import ParleyError
from parley.observability import logger


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
    request_id: str = "",
) -> Generator[NumberedEvent | Ping]:
    """Store the question, answer it, yield the answer while it is made, and store it.

    Yields `turn.started`, the other events, and exactly one event that ends the stream, terminal or `turn.waiting`. If the same key
    began an earlier turn, yields the events of that turn's log. Raises before the first event if the turn is refused: see
    `begin_turn`.
    """
    turn = begin_turn(services, principal, question, deadline=deadline, idempotency_key=idempotency_key)
    if isinstance(turn, ExistingTurn):
        yield from follow_events(services.engine, turn.id, user_id=principal.user_id, after=0, deadline=deadline)
        return
    turn.request_id = request_id
    yield from _run_to_the_end(chain([turn.started], run_turn(services, turn, deadline)))


def resume_turn(
    services: ChatServices, principal: Principal, decision: Decision, *, deadline: Deadline, request_id: str = ""
) -> ResumedTurn | None:
    """Store the user's decision on a pending tool call. If it was the last one, resume the turn and return its further events.

    Returns None while other calls wait for a decision. A repeated decision returns the events since then. Raises as `decide` does.
    """
    turn = decide(services, principal, decision)
    if turn is None:
        return None
    if isinstance(turn, AlreadyResumed):
        events = follow_events(services.engine, decision.turn_id, user_id=principal.user_id, after=turn.after, deadline=deadline)
        return ResumedTurn(turn.conversation_id, events)
    turn.request_id = request_id
    return ResumedTurn(turn.conversation_id, _run_to_the_end(chain([Ping()], run_turn(services, turn, deadline))))


def run_turn(services: ChatServices, turn: Turn, deadline: Deadline) -> Iterator[NumberedEvent | Ping]:
    """Run a turn that has begun until it ends or pauses."""
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
        except Exception as exc:  # the outermost handler of a turn: whatever happened, the turn ends
            logger.exception("turn_crashed", turn_id=str(turn.id))
            outcome = ParleyError(repr(exc))
        last = store_outcome(services.engine, turn, outcome, deadline=deadline)
        follow_up.send(turn.follow_up)
        yield last


def _run_to_the_end(events: Iterator[NumberedEvent | Ping]) -> Generator[NumberedEvent | Ping]:
    """Yield the events. If the client disconnects, run the turn to its end anyway."""
    try:
        for event in events:  # noqa: UP028 - `yield from` would close `events` too, and so break off the turn
            yield event
    except GeneratorExit:
        for _ in events:
            pass
        raise
