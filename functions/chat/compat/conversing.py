"""A turn of a stored conversation, for OpenAI's clients: the header `X-Conversation-Id` names it, and `new` makes one."""

from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any
from uuid import UUID

from functions.chat import turn
from functions.chat.answers import StoredFailure
from functions.chat.compat.answering import Answering, Said
from functions.chat.compat.reading import last_question
from functions.chat.compat.schemas import CompletionIn
from functions.chat.deadline import Deadline
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
from parley.errors import InvalidInput
from parley.llm import types as llm
from parley.llm.failures import ProviderFailed

HEADER, NEW = "X-Conversation-Id", "new"
# What the conversation has of its own, or a turn cannot do.
_NOT_HERE = ("tools", "tool_choice", "response_format", "stop")
_ENDS = {TurnCompleted.name, TurnStopped.name, TurnInterrupted.name, TurnWaiting.name, TurnFailed.name}


def converse(desk: Desk, principal: Principal, conversation: str, body: CompletionIn, *, deadline: Deadline, request_id: str) -> Answering:
    """Make the last message a turn of the conversation; it has the earlier ones itself. Raises as `turn.take` does."""
    if given := [name for name in _NOT_HERE if getattr(body, name) is not None]:
        raise InvalidInput(f"not taken in a stored conversation, which has its own: {', '.join(given)}", loc=("body", given[0]))
    limit = body.max_completion_tokens or body.max_tokens
    question = Question(last_question(body), _conversation_id(conversation), body.model, limit, body.temperature, tools=True)
    events = _events(turn.take(desk, principal, question, deadline=deadline, request_id=request_id))
    started = next(events)
    if not isinstance(started, TurnStarted):
        raise TypeError(f"a turn began with {started!r}")
    return Answering(_said(events), lambda: started.model, started.conversation_id)


def _conversation_id(text: str) -> UUID | None:
    try:
        return None if text == NEW else UUID(text)
    except ValueError as exc:
        raise InvalidInput("the id of a conversation, or new", loc=("header", HEADER)) from exc


def _events(numbered: Generator[Numbered | Ping]) -> Generator[TurnEvent | Logged]:
    """Pass on the events without their numbers; who leaves early closes the turn's own."""
    with closing(numbered):
        for one in numbered:
            if isinstance(one, Numbered):
                yield one.event


def _said(events: Generator[TurnEvent | Logged]) -> Generator[Said]:
    """Say a turn's events in the words of a model's.

    Raises StoredFailure where the turn has no whole answer, ApprovalNeeded where it waits.
    """
    with closing(events):
        for event in events:
            if isinstance(event, TextDelta):
                yield llm.TextDelta(event.text)
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
