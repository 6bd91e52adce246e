"""A turn: one question and its answer.

Two short transactions, and none open while the model speaks: the first stores the question, the second the answer. While
the model speaks, a thread listens to it, and twice a second one statement logs what came, says that this function lives,
and asks whether the turn shall stop. The log, not this function, is what others read.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial

from functions.chat.beginning import begin
from functions.chat.deadline import Deadline
from functions.chat.desk import Desk
from functions.chat.ending import end, superseded
from functions.chat.errors import OutOfTime, Superseded
from functions.chat.events import Numbered, Ping, TurnFailed
from functions.chat.follow_up import FollowUp
from functions.chat.listener import Ended, Listener
from functions.chat.pulse import Pulse
from functions.chat.question import Question
from functions.chat.replay import follow
from functions.chat.running import Turn
from functions.chat.watchdog import Watchdog
from parley import limits
from parley.auth.principal import Principal
from parley.db.scope import user_scope
from parley.db.turn_beginnings import Found, Once
from parley.errors import ParleyError
from parley.llm import types as llm
from parley.llm.provider import ProviderFailed
from parley.llm.router import RouterEvent
from parley.observability import logger

POLL_S = 0.1


def take(
    desk: Desk, principal: Principal, question: Question, *, deadline: Deadline, once: Once | None = None, request_id: str = ""
) -> Generator[Numbered | Ping]:
    """Store the question, ask the model, pass its text on as it comes, store the answer.

    Yields `TurnStarted`, any number of `TextDelta`, and exactly one terminal event; of a turn that was taken with the same
    key before, what its log has. Raises before the first event where there is nothing to answer: see `begin`.
    """
    begun = begin(desk, principal, question, deadline=deadline, once=once)
    if isinstance(begun, Found):
        yield from follow(desk.engine, begun.id, user_id=principal.user_id, after=0, deadline=deadline)
        return
    begun.request_id = request_id
    yield from _to_its_end(run(desk, begun, deadline))


def run(desk: Desk, turn: Turn, deadline: Deadline) -> Iterator[Numbered | Ping]:
    """Take a turn that has begun to its end."""
    with (
        closing(FollowUp(desk.memory_queue)) as follow_up,
        closing(Watchdog(desk.queue, user_id=turn.user_id, turn_id=turn.id)) as watchdog,
    ):
        yield turn.started
        outcome: ParleyError | None = None
        try:
            yield from _answer(desk, turn, watchdog, deadline)
        except ParleyError as exc:
            outcome = exc
        except Exception as exc:  # a turn's outermost handler: whatever happened, the turn ends
            logger.exception("a turn broke")
            outcome = ParleyError(repr(exc))
        last = _end(desk, turn, outcome, deadline)
        follow_up.send(turn.follow_up)
        yield last


def _answer(desk: Desk, turn: Turn, watchdog: Watchdog, deadline: Deadline) -> Iterator[Numbered | Ping]:
    """Ask the model and pass on what it says. Raises what the provider raised, Stopped, Superseded or OutOfTime."""
    pulse = Pulse(desk.engine, turn)
    reserve_again = partial(_reserve_again, desk, turn)
    turn.asked = desk.router.ask(turn.candidates, turn.request, total_s=deadline.left_s + 1, reserve_again=reserve_again)
    with Listener(turn.asked) as listener:
        while True:
            try:
                event = listener.next(timeout_s=POLL_S)
            except Ended:
                break
            if said := _hear(turn, event):
                yield pulse.passed(said)
            watchdog.tend()
            pulse.tick()
            if deadline.left_s <= 0:
                raise OutOfTime(f"turn {turn.id}")
            if ping := pulse.ping():
                yield ping
    if turn.finished is None:
        raise ProviderFailed(turn.calls[-1].model.provider, "the answer has no end")


def _hear(turn: Turn, event: RouterEvent | None) -> Numbered | None:
    """Note what the model said, and return it if it is for the client."""
    match event:
        case llm.TextDelta(text):
            return turn.say(text)
        case llm.Finished():
            turn.finished = event
    return None


def _reserve_again(desk: Desk, turn: Turn) -> None:
    """Reserve for a call that is made anew while the vendor may charge for the one before. Raises BudgetExhausted."""
    amount_usd = limits.worst_usd([one.model for one in turn.candidates], turn.request)
    with user_scope(desk.engine, turn.user_id) as connection:
        turn.reservations.append(limits.reserve(connection, turn.payer, desk.allowance, amount_usd=amount_usd))


def _end(desk: Desk, turn: Turn, outcome: ParleyError | None, deadline: Deadline) -> Numbered:
    try:
        if isinstance(outcome, Superseded):
            return superseded(desk, turn, deadline=deadline)
        return end(desk, turn, outcome, deadline=deadline)
    except Exception as exc:  # as above
        logger.exception("the end of a turn could not be stored", turn_id=str(turn.id))
        return turn.journal.note(TurnFailed(exc if isinstance(exc, ParleyError) else ParleyError(repr(exc)), turn.request_id))


def _to_its_end(events: Iterator[Numbered | Ping]) -> Generator[Numbered | Ping]:
    """Pass on the events; where nobody hears them any more, let the turn go on to its end all the same."""
    try:
        for event in events:  # noqa: UP028 - `yield from` would hand the closing on, and break the turn off
            yield event
    except GeneratorExit:
        for _ in events:
            pass
        raise
