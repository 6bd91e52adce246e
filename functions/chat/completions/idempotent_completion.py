"""Stateless completions with an `Idempotency-Key`: a complete answer is stored, and a repeated request receives it again.

A repeated stream has the whole text in one chunk. A failed or interrupted answer is not stored, so a repeated request calls the
model again.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Self

from pydantic import Field

from functions.chat.completions.completion import CompletionEvent, CompletionStream
from functions.chat.services import ChatServices
from parley.auth.principal import Principal
from parley.deadline import Deadline
from parley.http.idempotency import IdempotentRequest
from parley.http.schemas import Output
from parley.llm.messages import Finished, FinishReason, ReasoningDelta, TextDelta, Thought, ToolCall, Usage


class StoredToolCall(Output):
    """A tool call of a stored answer."""

    id: str
    name: str
    arguments: str


class StoredThought(Output):
    """A thought of a stored answer."""

    origin: str
    payload: str


class StoredCompletion(Output):
    """A complete answer, stored for repeated requests. `text`, `refusal` and `reasoning` join the answer's deltas."""

    id: str
    created: int
    model: str
    text: str
    tool_calls: list[StoredToolCall]
    finish_reason: FinishReason
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int = 0
    refusal: str = ""
    reasoning: str = ""
    reasoning_tokens: int = 0
    thoughts: list[StoredThought] = Field(default_factory=list)
    stop_sequence: str | None = None

    @classmethod
    def of(cls, completion: CompletionStream, events: Sequence[CompletionEvent], finished: Finished) -> Self:
        """Build the stored answer from its events."""
        return cls(
            id=completion.id,
            created=completion.created,
            model=completion.model(),
            text="".join(event.text for event in events if isinstance(event, TextDelta) and not event.is_refusal),
            refusal="".join(event.text for event in events if isinstance(event, TextDelta) and event.is_refusal),
            reasoning="".join(event.text for event in events if isinstance(event, ReasoningDelta)),
            reasoning_tokens=finished.usage.reasoning_tokens,
            thoughts=[StoredThought.model_validate(event) for event in events if isinstance(event, Thought)],
            tool_calls=[StoredToolCall.model_validate(event) for event in events if isinstance(event, ToolCall)],
            finish_reason=finished.reason,
            input_tokens=finished.usage.input_tokens,
            output_tokens=finished.usage.output_tokens,
            cached_input_tokens=finished.usage.cached_input_tokens,
            cache_write_tokens=finished.usage.cache_write_tokens,
            stop_sequence=finished.stop_sequence,
        )

    def replay(self) -> CompletionStream:
        """Return the answer as a stream with the same id."""
        return CompletionStream(self._events(), lambda: self.model, id=self.id, created=self.created)

    def _events(self) -> Generator[CompletionEvent]:
        if self.reasoning:
            yield ReasoningDelta(self.reasoning)
        for thought in self.thoughts:
            yield Thought(thought.origin, thought.payload)
        if self.text:
            yield TextDelta(self.text)
        if self.refusal:
            yield TextDelta(self.refusal, is_refusal=True)
        for call in self.tool_calls:
            yield ToolCall(call.id, call.name, call.arguments)
        usage = Usage(
            self.input_tokens,
            self.output_tokens,
            self.cached_input_tokens,
            self.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens,
        )
        yield Finished(self.finish_reason, usage, self.stop_sequence)


def complete_once(
    services: ChatServices,
    principal: Principal,
    request: IdempotentRequest[StoredCompletion],
    start: Callable[[], CompletionStream],
    deadline: Deadline,
) -> CompletionStream:
    """Start a completion and store its answer when it is complete; for a repeated request, replay the stored answer.

    Raises IdempotencyKeyReused, RequestInProgress, and the errors of `start`.
    """
    if (stored := request.claim(services.engine, principal, deadline)) is not None:
        return StoredCompletion.model_validate(stored).replay()
    try:
        completion = start()
    except BaseException:
        request.release(services.engine, principal)
        raise

    def abandon() -> None:
        completion.abandon()
        request.release(services.engine, principal)

    return replace(completion, events=_recorded_events(services, principal, request, completion, deadline), abandon=abandon)


def _recorded_events(
    services: ChatServices,
    principal: Principal,
    request: IdempotentRequest[StoredCompletion],
    completion: CompletionStream,
    deadline: Deadline,
) -> Generator[CompletionEvent]:
    """Yield the events. The answer is stored before `Finished`, so that a client with the whole answer can always replay it."""
    events, is_stored = list[CompletionEvent](), False
    try:
        with closing(completion.events):
            for event in completion.events:
                if isinstance(event, Finished):
                    request.store(services.engine, principal, StoredCompletion.of(completion, events, event), deadline)
                    is_stored = True
                events.append(event)
                yield event
    finally:
        if not is_stored:
            request.release(services.engine, principal)
