"""A turn of a stored conversation, for OpenAI's clients: the header `X-Conversation-Id` names it, and `new` makes one."""

import hashlib
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any
from uuid import UUID

from functions.chat import turn
from functions.chat.answers import StoredFailure
from functions.chat.compat.answering import Answering, Said
from functions.chat.compat.reading import last_question
from functions.chat.compat.schemas import CompletionIn
from functions.chat.desk import Desk
from functions.chat.errors import ApprovalNeeded
from functions.chat.events import (
    Logged,
    Numbered,
    Ping,
    TextDelta,
    TurnCompleted,
    TurnEvent,
    TurnFailed,
    TurnInterrupted,
    TurnStarted,
    TurnStopped,
    TurnWaiting,
)
from functions.chat.question import Question
from parley.auth.principal import Principal
from parley.db.turn.turn_begin import IdempotencyKey
from parley.deadline import Deadline
from parley.errors import InvalidInput
from parley.http.idempotency import request_fingerprint
from parley.llm import messages as llm
from parley.llm.errors import ProviderFailed

HEADER, NEW = "X-Conversation-Id", "new"
ROUTE = "POST /v1/chat/completions"
# What the conversation has of its own, or a turn cannot do.
_NOT_HERE = ("tools", "tool_choice", "stop")
_ENDS = {TurnCompleted.name, TurnStopped.name, TurnInterrupted.name, TurnWaiting.name, TurnFailed.name}


def converse(
    services: Desk,
    principal: Principal,
    conversation: str,
    body: CompletionIn,
    *,
    deadline: Deadline,
    idempotency_key: IdempotencyKey | None = None,
    request_id: str,
) -> Answering:
    """Make the last message a turn of the conversation; it has the earlier ones itself. Raises as `turn.take` does."""
    if given := [name for name in _NOT_HERE if getattr(body, name) is not None]:
        raise InvalidInput(f"not taken in a stored conversation, which has its own: {', '.join(given)}", loc=("body", given[0]))
    limit = body.max_completion_tokens or body.max_tokens
    text, images = last_question(body)
    asked = Question(text, _conversation_id(conversation), body.model, limit, body.temperature, tools=True, attached=images)
    question = replace(asked, output=body.response_format.output() if body.response_format else None)
    events = _events(turn.take(services, principal, question, deadline=deadline, idempotency_key=idempotency_key, request_id=request_id))
    started = next(events)
    if isinstance(started, Ping) or started.name != TurnStarted.name:
        raise TypeError(f"a turn began with {started!r}")
    model, conversation_id = started.data()["model"], UUID(started.data()["conversation_id"])
    return Answering(_said(events), lambda: model, conversation_id)


def once_of(conversation: str, key: str | None, body: CompletionIn) -> IdempotencyKey | None:
    """Return what makes a request one that is repeated: key, body and conversation; None where there is no key."""
    return IdempotencyKey(ROUTE, key, hashlib.sha256(request_fingerprint(body) + conversation.encode()).digest()) if key else None


def _conversation_id(text: str) -> UUID | None:
    try:
        return None if text == NEW else UUID(text)
    except ValueError as exc:
        raise InvalidInput("the id of a conversation, or new", loc=("header", HEADER)) from exc


def _events(numbered: Generator[Numbered | Ping]) -> Generator[TurnEvent | Logged | Ping]:
    """Pass on the events without their numbers; who leaves early closes the turn's own."""
    with closing(numbered):
        for one in numbered:
            yield one if isinstance(one, Ping) else one.event


def _said(events: Generator[TurnEvent | Logged | Ping]) -> Generator[Said]:
    """Say a turn's events in the words of a model's.

    Raises StoredFailure where the turn has no whole answer, ApprovalNeeded where it waits.
    """
    with closing(events):
        for event in events:
            if isinstance(event, Ping):
                yield event
            elif event.name == TextDelta.name:
                yield llm.TextDelta(event.data()["text"])
            elif event.name in _ENDS:
                yield _end(event.name, event.data())


def _end(name: str, data: Mapping[str, Any]) -> llm.Finished:
    """Read a turn's end, be it as it happened or from the log of who ended it."""
    if name == TurnFailed.name:
        raise StoredFailure(data)
    if name == TurnWaiting.name:
        raise ApprovalNeeded(f"calls {data['call_ids']}")
    if name == TurnInterrupted.name:
        raise StoredFailure({"status": ProviderFailed.status, "code": data["reason"], "detail": ProviderFailed.public_message})
    usage = llm.Usage(data["usage"]["input_tokens"], data["usage"]["output_tokens"])
    return llm.Finished(data.get("finish_reason", "stop"), usage)
