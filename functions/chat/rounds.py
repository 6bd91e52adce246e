"""The rounds of a turn: the model is asked, the tools that it asks for are run, and it is asked again, until it asks for none."""

from collections.abc import Iterator
from functools import partial

from sqlalchemy import Connection

from functions.chat.called import Called
from functions.chat.calls import MOST_CALLS, run_calls
from functions.chat.choosing import prepared
from functions.chat.desk import Desk
from functions.chat.errors import Superseded
from functions.chat.events import Numbered, Ping
from functions.chat.listener import Ended, Listener
from functions.chat.picturing import fetched
from functions.chat.pulse import Pulse
from functions.chat.running import Turn
from parley.db.transactions import user_scope
from parley.llm import messages as llm
from parley.llm.provider import ProviderFailed
from parley.llm.router import ModelStreamEvent
from parley.metering import limits
from parley.metering.limits import Reservation

POLL_S = 0.1
MOST_ROUNDS = 8
# Where an answer was cut short, so may have been its calls.
_CUT_SHORT = {"length", "content_filter"}


def answer(services: Desk, turn: Turn, pulse: Pulse) -> Iterator[Numbered | Ping]:
    """Take the turn to its answer's end. One that had paused begins with the calls that it waited for.

    Raises what the provider raised, Waits where a call needs an approval, Stopped, Superseded, OutOfTime, BudgetExhausted and
    ContextTooLong.
    """
    while True:
        if turn.open_calls:
            yield from run_calls(turn, pulse)
            _prepare_next(services, turn)
        yield from _ask(services, turn, pulse)
        if not turn.open_calls:
            return


def _ask(services: Desk, turn: Turn, pulse: Pulse) -> Iterator[Numbered | Ping]:
    """Ask the model once, pass on what it says, and note what it asks for."""
    turn.finished, wanted = None, list[llm.ToolCall]()
    reserve_again = partial(_reserve_again, services, turn)
    request = fetched(turn.request, services.images, turn.pictures)
    asked = services.router.ask(turn.candidates, request, total_s=pulse.deadline.left_s + 1, reserve_again=reserve_again)
    turn.asked.append(asked)
    with Listener(asked) as listener:
        while True:
            try:
                event = listener.next(timeout_s=POLL_S)
            except Ended:
                break
            if said := _hear(turn, wanted, event):
                yield pulse.passed(said)
            yield from pulse.beat()
    if turn.finished is None:
        raise ProviderFailed(asked.calls[-1].model.provider, "the answer has no end")
    yield from map(pulse.passed, _calls(turn, turn.finished, wanted))


def _hear(turn: Turn, wanted: list[llm.ToolCall], event: ModelStreamEvent | None) -> Numbered | None:
    """Note what the model said, and return it if it is for the client."""
    match event:
        case llm.TextDelta(text):
            return turn.add_text(text)
        case llm.Thought(origin, payload):
            turn.parts.add_thought(origin, payload)
        case llm.ToolCall():
            wanted.append(event)
        case llm.Finished():
            turn.finished = event
    return None


def _calls(turn: Turn, finished: llm.Finished, wanted: list[llm.ToolCall]) -> Iterator[Numbered]:
    """Note the calls of an answer that has come to its end; those of one that was cut short, or that were not allowed, are no calls."""
    if finished.reason in _CUT_SHORT or not turn.request.tools or turn.request.tool_choice == "none":
        return
    taken = {part.id for message in turn.request.messages for part in message.parts if isinstance(part, llm.ToolCall)}
    for call in wanted:
        called = Called.of(call, taken=taken)
        taken.add(called.call_id)
        yield turn.call(called)


def _prepare_next(services: Desk, turn: Turn) -> None:
    """Build the request of the next call, pay for those before, and reserve its price. Who answered so far is asked first."""
    answering = turn.model_id
    candidates = sorted(turn.candidates, key=lambda one: one.id != answering)
    turn.rounds += 1
    may_call = turn.rounds < MOST_ROUNDS and len(turn.parts.calls) < MOST_CALLS
    turn.candidates, turn.request = prepared(candidates, turn.context, turn.parts.all(), may_call=may_call)
    with user_scope(services.engine, turn.user_id) as connection:
        is_ours = limits.settle(connection, turn.billing_subject, turn.billed, reservations=turn.reservations, turn_id=turn.id)
        if turn.reservations and not is_ours:
            raise Superseded(f"turn {turn.id}")
        turn.reservations.append(_reserved(services, turn, connection))


def _reserve_again(services: Desk, turn: Turn) -> None:
    """Reserve for a call that is made anew while the vendor may charge for the one before. Raises BudgetExhausted."""
    with user_scope(services.engine, turn.user_id) as connection:
        turn.reservations.append(_reserved(services, turn, connection))


def _reserved(services: Desk, turn: Turn, connection: Connection) -> Reservation:
    amount_usd, first = limits.max_cost_usd([one.model for one in turn.candidates], turn.request), turn.candidates[0]
    detail = limits.reservation_detail(turn.id, first.id, first.model, turn.request)
    return limits.reserve(connection, turn.billing_subject, services.default_limits, amount_usd=amount_usd, detail=detail)
