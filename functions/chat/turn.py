"""A turn: one question and its answer.

Two short transactions, and none open while the model speaks: the first stores the question, the second the answer.
"""

from collections.abc import Iterator
from functools import partial

from functions.chat.beginning import begin
from functions.chat.desk import Desk
from functions.chat.ending import end
from functions.chat.events import TextDelta, TurnEvent, TurnFailed, TurnStarted
from functions.chat.question import Question
from functions.chat.running import Turn
from parley import limits
from parley.auth.principal import Principal
from parley.db.scope import user_scope
from parley.errors import ParleyError
from parley.llm import types as llm
from parley.observability import logger

ANSWER_S = 285.0  # of the 300 that the function has


def take(desk: Desk, principal: Principal, question: Question) -> Iterator[TurnEvent]:
    """Store the question, ask the model, pass its text on as it comes, store the answer.

    Yields `TurnStarted`, any number of `TextDelta`, and exactly one terminal event. Raises before the first event where
    there is nothing to answer: see `begin`.
    """
    turn = begin(desk, principal, question)
    yield TurnStarted(turn.id, turn.conversation_id, turn.user_message_id, turn.model_id)
    failure: ParleyError | None = None
    try:
        yield from _ask(desk, turn)
    except ParleyError as exc:
        failure = exc
    except Exception as exc:  # a turn's outermost handler: whatever happened, the turn ends
        logger.exception("a turn broke")
        failure = ParleyError(repr(exc))
    yield _end(desk, turn, failure)


def _ask(desk: Desk, turn: Turn) -> Iterator[TextDelta]:
    turn.asked = desk.router.ask(turn.candidates, turn.request, total_s=ANSWER_S, reserve_again=partial(_reserve_again, desk, turn))
    for event in turn.asked:
        match event:
            case llm.TextDelta(text):
                turn.add(text)
                yield TextDelta(text)
            case llm.Finished():
                turn.finished = event


def _reserve_again(desk: Desk, turn: Turn) -> None:
    """Reserve for a call that is made anew while the vendor may charge for the one before. Raises BudgetExhausted."""
    amount_usd = limits.worst_usd([one.model for one in turn.candidates], turn.request)
    with user_scope(desk.engine, turn.user_id) as connection:
        turn.reservations.append(limits.reserve(connection, turn.payer, desk.allowance, amount_usd=amount_usd))


def _end(desk: Desk, turn: Turn, failure: ParleyError | None) -> TurnEvent:
    try:
        return end(desk.engine, turn, failure)
    except Exception as exc:  # as above
        logger.exception("the end of a turn could not be stored", turn_id=str(turn.id))
        return TurnFailed(exc if isinstance(exc, ParleyError) else ParleyError(repr(exc)))
