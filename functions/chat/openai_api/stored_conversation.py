"""Turns of stored conversations for OpenAI's clients. The header `X-Conversation-Id` names a conversation; `new` creates one."""

from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any
from uuid import UUID

from functions.chat.completions.completion import CompletionEvent, CompletionStream
from functions.chat.errors import ApprovalNeeded, LoggedTurnFailure
from functions.chat.openai_api.requests import last_question
from functions.chat.openai_api.schemas import CompletionIn
from functions.chat.services import ChatServices
from functions.chat.turn import run
from functions.chat.turn.events import (
    LAST_EVENTS,
    AnswerDelta,
    IncompleteAnswer,
    NumberedEvent,
    Ping,
    ReplayedEvent,
    TurnCompleted,
    TurnEvent,
    TurnFailed,
    TurnInterrupted,
    TurnStarted,
    TurnTimings,
    TurnWaiting,
)
from functions.chat.turn.question import Question, parse_assistant
from parley.auth.principal import Principal
from parley.db.turn.turn_begin import IdempotencyKey
from parley.deadline import Deadline
from parley.errors import InvalidInput
from parley.llm import messages as llm
from parley.llm.errors import ProviderFailed
from parley.llm.model import CHANGE_ANSWERS

CONVERSATION_HEADER, NEW_CONVERSATION = "X-Conversation-Id", "new"
# The conversation has its own tools, and a turn has no stop sequences.
_UNSUPPORTED_FIELDS = ("tools", "tool_choice", "stop")


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
    """Take a turn with the last message as its question. Ignore the earlier messages: the conversation has its own history.

    Raises InvalidInput, and the errors of `take_turn`.
    """
    unsupported = [name for name in _UNSUPPORTED_FIELDS if getattr(body, name) is not None]
    unsupported += body.options().chosen(CHANGE_ANSWERS)
    if unsupported:
        raise InvalidInput(f"not supported with X-Conversation-Id: {', '.join(unsupported)}", loc=("body", unsupported[0]))
    text, images = last_question(body)
    assistant_id = parse_assistant(body.model)
    question = Question(
        text,
        _conversation_id(conversation),
        model=None if assistant_id else body.model,
        assistant_id=assistant_id,
        max_output_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        tools=True,
        attached=images,
        output=body.response_format.output() if body.response_format else None,
    )
    events = _without_numbers(
        run.take_turn(
            services,
            principal,
            question,
            deadline=deadline,
            idempotency_key=idempotency_key,
            joins_after=0 if body.stream else None,
            request_id=request_id,
        )
    )
    started = next(events)
    if isinstance(started, Ping) or started.name != TurnStarted.name:
        raise TypeError(f"a turn began with {started!r}")
    model, conversation_id = started.data()["model"], UUID(started.data()["conversation_id"])
    timings = list[TurnTimings]()
    model_ms = lambda: timings[-1].model_ms if timings else None  # noqa: E731
    return CompletionStream(_completion_events(events, timings), lambda: model, conversation_id, model_ms=model_ms)


def _conversation_id(text: str) -> UUID | None:
    try:
        return None if text == NEW_CONVERSATION else UUID(text)
    except ValueError as exc:
        raise InvalidInput("must be the id of a conversation, or `new`", loc=("header", CONVERSATION_HEADER)) from exc


def _without_numbers(numbered: Generator[NumberedEvent | Ping]) -> Generator[TurnEvent | ReplayedEvent | Ping]:
    """Yield the events without their numbers. Closing this generator also closes `numbered`."""
    with closing(numbered):
        for event in numbered:
            yield event if isinstance(event, Ping) else event.event


def _completion_events(events: Generator[TurnEvent | ReplayedEvent | Ping], timings: list[TurnTimings]) -> Generator[CompletionEvent]:
    """Convert the events of a turn to events of a completion, and append the timings of a turn that ends to `timings`.

    Raises LoggedTurnFailure if the turn failed or was interrupted, and ApprovalNeeded if it waits.
    """
    with closing(events):
        for event in events:
            if isinstance(event, Ping):
                yield event
            elif event.name == AnswerDelta.name:
                yield llm.TextDelta(event.data()["text"])
            elif event.name in LAST_EVENTS:
                if isinstance(event, TurnCompleted | IncompleteAnswer):
                    timings.append(event.timings)
                yield _finished(event.name, event.data())


def _finished(name: str, data: Mapping[str, Any]) -> llm.Finished:
    """Convert the last event of a turn, live or replayed."""
    if name == TurnFailed.name:
        raise LoggedTurnFailure(data)
    if name == TurnWaiting.name:
        raise ApprovalNeeded(f"calls {data['call_ids']}")
    if name == TurnInterrupted.name:
        raise LoggedTurnFailure({"status": ProviderFailed.status, "code": data["reason"], "detail": ProviderFailed.public_message})
    usage = llm.Usage(data["usage"]["input_tokens"], data["usage"]["output_tokens"])
    return llm.Finished(data.get("finish_reason", "stop"), usage)
