"""A turn: one question and its answer.

Two short transactions, and none open while a model speaks or a tool runs: the first stores the question, the second the
answer. Between them it goes in rounds: the model is asked, the tools that it asks for are run side by side, and it is asked
again with their results, until it asks for none. A thread listens to the model, and one runs each tool; meanwhile, twice a
second, one statement logs what came, says that this function lives, and asks whether the turn shall stop. Where a call needs
its user's word, the turn pauses: its function ends, and another goes on with it once the word is given. The log, not this
function, is what others read.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from uuid import UUID

from functions.chat.attaching import begin_with_images
from functions.chat.deciding import Decision, GoneOn, decide
from functions.chat.desk import Desk
from functions.chat.ending import end, superseded
from functions.chat.errors import Superseded, Waits
from functions.chat.events import Numbered, Ping, TurnFailed
from functions.chat.follow_up import FollowUp
from functions.chat.gathering import gather
from functions.chat.pausing import pause
from functions.chat.pulse import Pulse
from functions.chat.question import Question
from functions.chat.replay import follow
from functions.chat.rounds import answer
from functions.chat.running import Turn
from functions.chat.watchdog import Watchdog
from parley.auth.principal import Principal
from parley.db.turn.turn_begin import ExistingTurn, IdempotencyKey
from parley.deadline import Deadline
from parley.errors import ParleyError
from parley.observability import logger


@dataclass(frozen=True, slots=True)
class Continued:
    """The events of a turn from where it had paused, and its conversation."""

    conversation_id: UUID
    events: Generator[Numbered | Ping]


def take(
    services: Desk,
    principal: Principal,
    question: Question,
    *,
    deadline: Deadline,
    idempotency_key: IdempotencyKey | None = None,
    request_id: str = "",
) -> Generator[Numbered | Ping]:
    """Store the question, answer it, pass the answer on as it comes, store it.

    Yields `TurnStarted`, texts, calls of tools and their results, and exactly one terminal event, which may be `TurnWaiting`; of a
    turn that was taken with the same key before, what its log has. Raises before the first event where there is nothing to
    answer: see `begin_with_images`.
    """
    begun = begin_with_images(services, principal, question, deadline=deadline, idempotency_key=idempotency_key)
    if isinstance(begun, ExistingTurn):
        yield from follow(services.engine, begun.id, user_id=principal.user_id, after=0, deadline=deadline)
        return
    begun.request_id = request_id
    yield from _to_its_end(chain([begun.started], run(services, begun, deadline)))


def go_on(services: Desk, principal: Principal, decision: Decision, *, deadline: Deadline, request_id: str = "") -> Continued | None:
    """Note what the user says to a call that waits; if it was the last word, go on with the turn and return its further events.

    None while other calls wait. Where the same was said before, they are what has come since. Raises as `decide` does.
    """
    found = decide(services, principal, decision)
    if isinstance(found, GoneOn):
        since = follow(services.engine, decision.turn_id, user_id=principal.user_id, after=found.after, deadline=deadline)
        return Continued(found.conversation_id, since)
    if found is None:
        return None
    found.request_id = request_id
    return Continued(found.conversation_id, _to_its_end(chain([Ping()], run(services, found, deadline))))


def run(services: Desk, turn: Turn, deadline: Deadline) -> Iterator[Numbered | Ping]:
    """Take a turn that has begun to its end, or to a pause."""
    with (
        closing(FollowUp(services.memory_queue)) as follow_up,
        closing(Watchdog(services.queue, user_id=turn.user_id, turn_id=turn.id)) as watchdog,
    ):
        outcome: ParleyError | None = None
        try:
            yield from gather(services, turn)
            yield from answer(services, turn, Pulse(services.engine, turn, watchdog, deadline))
        except Waits as exc:
            yield from map(turn.ask, exc.calls)
            outcome = exc
        except ParleyError as exc:
            outcome = exc
        except Exception as exc:  # a turn's outermost handler: whatever happened, the turn ends
            logger.exception("a turn broke")
            outcome = ParleyError(repr(exc))
        last = _end(services, turn, outcome, deadline)
        follow_up.send(turn.follow_up)
        yield last


def _end(services: Desk, turn: Turn, outcome: ParleyError | None, deadline: Deadline) -> Numbered:
    try:
        if isinstance(outcome, Superseded):
            return superseded(services, turn, deadline=deadline)
        if isinstance(outcome, Waits):
            return pause(services, turn, outcome, deadline=deadline)
        return end(services, turn, outcome, deadline=deadline)
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
