"""A turn of a stored conversation for OpenAI's clients: the header `X-Conversation-Id` names it, and `new` creates one."""

import hashlib
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any
from uuid import UUID

from functions.chat.errors import ApprovalNeeded, LoggedTurnFailure
from functions.chat.openai_api.completions import CompletionEvent, CompletionStream
from functions.chat.openai_api.requests import last_question
from functions.chat.openai_api.schemas import CompletionIn
from functions.chat.services import ChatServices
from functions.chat.turn import run
from functions.chat.turn.events import (
    AnswerDelta,
    NumberedEvent,
    Ping,
    ReplayedEvent,
    TurnCompleted,
    TurnEvent,
    TurnFailed,
    TurnInterrupted,
    TurnStarted,
    TurnStopped,
    TurnWaiting,
)
from functions.chat.turn.question import Question
from parley.auth.principal import Principal
from parley.db.turn.turn_begin import IdempotencyKey
from parley.deadline import Deadline
from parley.errors import InvalidInput
from parley.http.idempotency import request_fingerprint
from parley.llm import messages as llm
from parley.llm.errors import ProviderFailed

CONVERSATION_HEADER, NEW_CONVERSATION = "X-Conversation-Id", "new"
ROUTE = "POST /v1/chat/completions"
# What the conversation has of its own, or a turn cannot do.
_UNSUPPORTED_FIELDS = ("tools", "tool_choice", "stop")
_TERMINAL_EVENTS = {TurnCompleted.name, TurnStopped.name, TurnInterrupted.name, TurnWaiting.name, TurnFailed.name}


def answer_in_conversation(
    services: ChatServices,
    principal: Principal,
    conversation: str,
    body: CompletionIn,
    *,
    deadline: Deadline,
    idempotency_key: IdempotencyKey | None = None,
    request_id: str,
) -> CompletionStream:
    """Make the last message a turn of the conversation; it has the earlier ones itself. Raises as `turn.take` does."""
    if given := [name for name in _UNSUPPORTED_FIELDS if getattr(body, name) is not None]:
        raise InvalidInput(f"not taken in a stored conversation, which has its own: {', '.join(given)}", loc=("body", given[0]))
    limit = body.max_completion_tokens or body.max_tokens
    text, images = last_question(body)
    asked = Question(text, _conversation_id(conversation), body.model, limit, body.temperature, tools=True, attached=images)
    question = replace(asked, output=body.response_format.output() if body.response_format else None)
    events = _without_numbers(
        run.take_turn(services, principal, question, deadline=deadline, idempotency_key=idempotency_key, request_id=request_id)
    )
    started = next(events)
    if isinstance(started, Ping) or started.name != TurnStarted.name:
        raise TypeError(f"a turn began with {started!r}")
    model, conversation_id = started.data()["model"], UUID(started.data()["conversation_id"])
    return CompletionStream(_completion_events(events), lambda: model, conversation_id)


def idempotency_of(conversation: str, key: str | None, body: CompletionIn) -> IdempotencyKey | None:
    """Return what makes a request one that is repeated: key, body and conversation; None where there is no key."""
    return IdempotencyKey(ROUTE, key, hashlib.sha256(request_fingerprint(body) + conversation.encode()).digest()) if key else None


def _conversation_id(text: str) -> UUID | None:
    try:
        return None if text == NEW_CONVERSATION else UUID(text)
    except ValueError as exc:
        raise InvalidInput("the id of a conversation, or new", loc=("header", CONVERSATION_HEADER)) from exc


def _without_numbers(numbered: Generator[NumberedEvent | Ping]) -> Generator[TurnEvent | ReplayedEvent | Ping]:
    """Pass on the events without their numbers; who leaves early closes the turn's own."""
    with closing(numbered):
        for one in numbered:
            yield one if isinstance(one, Ping) else one.event


def _completion_events(events: Generator[TurnEvent | ReplayedEvent | Ping]) -> Generator[CompletionEvent]:
    """Say a turn's events in the words of a model's.

    Raises StoredFailure where the turn has no whole answer, ApprovalNeeded where it waits.
    """
    with closing(events):
        for event in events:
            if isinstance(event, Ping):
                yield event
            elif event.name == AnswerDelta.name:
                yield llm.TextDelta(event.data()["text"])
            elif event.name in _TERMINAL_EVENTS:
                yield _finished(event.name, event.data())


def _finished(name: str, data: Mapping[str, Any]) -> llm.Finished:
    """Read a turn's end, be it as it happened or from the log of who ended it."""
    if name == TurnFailed.name:
        raise LoggedTurnFailure(data)
    if name == TurnWaiting.name:
        raise ApprovalNeeded(f"calls {data['call_ids']}")
    if name == TurnInterrupted.name:
        raise LoggedTurnFailure({"status": ProviderFailed.status, "code": data["reason"], "detail": ProviderFailed.public_message})
    usage = llm.Usage(data["usage"]["input_tokens"], data["usage"]["output_tokens"])
    return llm.Finished(data.get("finish_reason", "stop"), usage)
