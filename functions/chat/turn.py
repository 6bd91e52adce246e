"""A turn: one question and its answer.

Two short transactions, and none open while the model speaks: the first stores the question, the second the answer.
"""

from collections.abc import Iterator

from functions.chat.beginning import begin
from functions.chat.desk import Desk
from functions.chat.ending import end
from functions.chat.events import TextDelta, TurnEvent, TurnFailed, TurnStarted
from functions.chat.question import Question
from functions.chat.running import Turn
from parley.auth.principal import Principal
from parley.errors import ParleyError
from parley.llm import types as llm
from parley.llm.provider import ProviderFailed, sound
from parley.observability import logger


def take(desk: Desk, principal: Principal, question: Question) -> Iterator[TurnEvent]:
    """Store the question, ask the model, pass its text on as it comes, store the answer.

    Yields `TurnStarted`, any number of `TextDelta`, and exactly one terminal event. Raises before the first event where
    there is nothing to answer: see `begin`.
    """
    turn = begin(desk, principal, question)
    yield TurnStarted(turn.id, turn.conversation_id, turn.user_message_id, turn.model_id)
    failure: ParleyError | None = None
    try:
        yield from _ask(turn)
    except ParleyError as exc:
        failure = exc
    except Exception as exc:  # a turn's outermost handler: whatever happened, the turn ends
        logger.exception("a turn broke")
        failure = ParleyError(repr(exc))
    yield _end(desk, turn, failure)


def _ask(turn: Turn) -> Iterator[TextDelta]:
    events = turn.provider.stream(turn.model.name, turn.request)
    for event in sound(events, provider=turn.model.provider):
        match event:
            case llm.TextDelta(text):
                turn.add(text)
                yield TextDelta(text)
            case llm.Finished():
                turn.finished = event
    if turn.finished is None:
        raise ProviderFailed(turn.model.provider, "the answer has no end")


def _end(desk: Desk, turn: Turn, failure: ParleyError | None) -> TurnEvent:
    try:
        return end(desk.engine, turn, failure)
    except Exception as exc:  # as above
        logger.exception("the end of a turn could not be stored", turn_id=str(turn.id))
        return TurnFailed(exc if isinstance(exc, ParleyError) else ParleyError(repr(exc)))
