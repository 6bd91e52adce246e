"""A turn: one question and its answer.

Two short transactions, and none open while the model speaks: the first stores the question, the second the answer.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection, Engine

from functions.chat.context import assemble
from functions.chat.events import TextDelta, Timings, TurnCompleted, TurnEvent, TurnFailed, TurnInterrupted, TurnStarted, UsageSum
from functions.chat.question import Question, title_of
from parley.auth.principal import Principal
from parley.db import conversations, messages, turns, users
from parley.db.scope import principal_scope, user_scope
from parley.errors import ParleyError
from parley.ids import new_id
from parley.llm import types as llm
from parley.llm.models import Catalogue, Model
from parley.llm.provider import ProviderFailed
from parley.llm.providers import ProviderFor
from parley.llm.tokens import estimate_tokens
from parley.observability import logger

WINDOW_MESSAGES = 200


@dataclass(frozen=True, slots=True)
class Desk:
    """What a turn works with, made once for each worker."""

    engine: Engine
    catalogue: Catalogue
    provider_for: ProviderFor


@dataclass(slots=True)
class _Turn:
    """A turn under way: what was stored at its beginning, and what has come of the answer."""

    user_id: UUID
    conversation_id: UUID
    user_message_id: UUID
    model_id: str
    model: Model
    request: llm.Request
    id: UUID = field(default_factory=new_id)
    started_s: float = field(default_factory=time.perf_counter)
    first_token_ms: float | None = None
    pieces: list[str] = field(default_factory=list)
    finished: llm.Finished | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def elapsed_ms(self) -> float:
        return round((time.perf_counter() - self.started_s) * 1000, 1)


def take(desk: Desk, principal: Principal, question: Question) -> Iterator[TurnEvent]:
    """Store the question, ask the model, pass its text on as it comes, store the answer.

    Yields `TurnStarted`, any number of `TextDelta`, and exactly one of the terminal events. Raises before the first
    event where there is nothing to answer: NotFound, InvalidInput, Unauthorized, Unavailable.
    """
    turn = _begin(desk, principal, question)
    yield TurnStarted(turn.id, turn.conversation_id, turn.user_message_id, turn.model_id)
    failure: ParleyError | None = None
    try:
        yield from _ask(desk, turn)
    except ParleyError as exc:
        failure = exc
    try:
        yield _end(desk.engine, turn, failure)
    except ParleyError as exc:
        logger.error("the end of a turn could not be stored", turn_id=str(turn.id), reason=str(exc))
        yield TurnFailed(exc)


def _begin(desk: Desk, principal: Principal, question: Question) -> _Turn:
    with principal_scope(desk.engine, principal) as connection:
        conversation = _open_conversation(connection, principal.user_id, question)
        model_id = _choose_model(desk.catalogue, connection, question, conversation)
        model = desk.catalogue.models[model_id]
        earlier = messages.newest(connection, conversation.id, user_id=principal.user_id, limit=WINDOW_MESSAGES)
        request = assemble(conversation, earlier, question, model)
        asked = messages.add(
            connection,
            new_id(),
            user_id=principal.user_id,
            conversation_id=conversation.id,
            role="user",
            parts=[{"type": "text", "text": question.text}],
            tokens=estimate_tokens(question.text),
        )
        turn = _Turn(principal.user_id, conversation.id, asked.id, model_id, model, request)
        turns.start(connection, turn.id, user_id=turn.user_id, conversation_id=conversation.id, user_message_id=asked.id, model=model_id)
        return turn


def _open_conversation(connection: Connection, user_id: UUID, question: Question) -> conversations.Conversation:
    if question.conversation_id is None:
        return conversations.add(connection, new_id(), user_id=user_id, title=title_of(question.text))
    return conversations.get(connection, question.conversation_id, user_id=user_id)


def _choose_model(catalogue: Catalogue, connection: Connection, question: Question, conversation: conversations.Conversation) -> str:
    """The request's word comes first, then the conversation's, then the user's."""
    named = question.model or conversation.model
    return catalogue.choose(named or users.get(connection, conversation.user_id).default_model)


def _ask(desk: Desk, turn: _Turn) -> Iterator[TextDelta]:
    for event in desk.provider_for(turn.model).stream(turn.model.name, turn.request):
        match event:
            case llm.TextDelta(text):
                turn.first_token_ms = turn.first_token_ms or turn.elapsed_ms()
                turn.pieces.append(text)
                yield TextDelta(text)
            case llm.Finished():
                turn.finished = event
    if turn.finished is None:
        raise ProviderFailed(turn.model.provider, "the answer has no end")


def _end(engine: Engine, turn: _Turn, failure: ParleyError | None) -> TurnEvent:
    """Store how the turn went and return its terminal event: the delivered text is kept, whole or not."""
    if failure:
        logger.warning("the model failed", turn_id=str(turn.id), problem=failure.code, reason=str(failure))
    if failure and not turn.pieces:
        with user_scope(engine, turn.user_id) as connection:
            turns.finish(connection, turn.id, user_id=turn.user_id, status="failed", error_code=failure.code)
        return TurnFailed(failure)
    usage = _usage(turn)
    message_id = _store_answer(engine, turn, usage, failure)
    if failure:
        return TurnInterrupted(message_id, failure.code, usage)
    reason = turn.finished.reason if turn.finished else "stop"
    return TurnCompleted(message_id, reason, usage, turn.model_id, Timings(turn.first_token_ms, turn.elapsed_ms()))


def _store_answer(engine: Engine, turn: _Turn, usage: UsageSum, failure: ParleyError | None) -> UUID:
    status: turns.TurnStatus = "interrupted" if failure else "completed"
    with user_scope(engine, turn.user_id) as connection:
        answer = messages.add(
            connection,
            new_id(),
            user_id=turn.user_id,
            conversation_id=turn.conversation_id,
            role="assistant",
            parts=[{"type": "text", "text": turn.text}],
            model=turn.model_id,
            tokens=usage.output_tokens,
            status=status,
        )
        spent = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "cost_usd": usage.cost_usd}
        code = failure.code if failure else None
        turns.finish(connection, turn.id, user_id=turn.user_id, status=status, message_id=answer.id, error_code=code, **spent)
    return answer.id


def _usage(turn: _Turn) -> UsageSum:
    """Sum up what the provider counted; for a broken answer, what we can tell."""
    counted = turn.finished.usage if turn.finished else llm.Usage()
    output_tokens = counted.output_tokens or estimate_tokens(turn.text)
    counted = llm.Usage(counted.input_tokens, output_tokens, counted.cached_input_tokens)
    return UsageSum(counted.input_tokens, output_tokens, turn.model.cost_usd(counted))
