"""Stateless completions: call the models directly, and store nothing but the cost.

The vendor's silence is filled with pings, so that a stream stays open and its reader can do its own work meanwhile.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Self
from uuid import UUID

from functions.chat.completions.answer_end import StopSequences, with_one_call
from functions.chat.errors import OutOfTime
from functions.chat.services import ChatServices
from functions.chat.turn.events import Ping
from functions.chat.turn.heartbeat import PING_S
from functions.chat.turn.prompt import can_serve, request_tokens
from functions.chat.turn.provider_stream import StreamEnded, StreamReader
from functions.chat.turn.question import parse_assistant
from parley.auth.principal import Principal
from parley.clock import utc_now
from parley.db.transactions import principal_scope
from parley.db.turn.stream_leases import StreamLease
from parley.deadline import Deadline
from parley.errors import Unauthorized, Unavailable
from parley.ids import new_id
from parley.llm.candidates import Candidate, able_candidates, candidates_for
from parley.llm.catalogue import Catalogue
from parley.llm.errors import ContextTooLong
from parley.llm.messages import Finished, ModelRequest, ReasoningDelta, TextDelta, Thought, ToolCall, ToolCallDelta
from parley.llm.router import CallStarted, ModelStream, ModelStreamEvent
from parley.metering import limits
from parley.metering.limits import BillingSubject
from parley.metering.metered_call import MeteredCall
from parley.observability import put_metrics

type CompletionEvent = TextDelta | ReasoningDelta | ToolCallDelta | Thought | ToolCall | Finished | Ping


@dataclass(frozen=True, slots=True)
class CompletionStream:
    """The events of a completion; the last event is `Finished`. Iterating raises the error of a failed call.

    `model` returns the id of the answering model. The id may change until the first event other than a ping, because another model
    is called if the first one fails. `model_ms` returns the milliseconds spent waiting for models so far, or None if
    no model was called. A caller that never reads an event must call `abandon`: closing `events` then has no effect.
    """

    events: Generator[CompletionEvent]
    model: Callable[[], str]
    conversation_id: UUID | None = None
    id: str = field(default_factory=lambda: f"chatcmpl-{new_id().hex}")
    created: int = field(default_factory=lambda: int(utc_now().timestamp()))
    model_ms: Callable[[], float | None] = lambda: None
    abandon: Callable[[], None] = lambda: None


class CompletionCount:
    """A context manager that counts a completion among the turns in the metrics, with its outcome and the time to its first text.

    A completion that its client or the end of the session cuts short is `stopped`. An error makes it `interrupted`, or `failed` if
    nothing has arrived before.
    """

    def __init__(self, model_id: Callable[[], str]) -> None:
        self._model_id, self._started_s = model_id, time.monotonic()
        self._has_begun = False
        self._first_token_ms: float | None = None

    def watch(self, events: Iterator[ModelStreamEvent | Ping]) -> Iterator[ModelStreamEvent | Ping]:
        """Yield the events, and remember the first text or tool call."""
        for event in events:
            if isinstance(event, TextDelta) and self._first_token_ms is None:
                self._first_token_ms = round((time.monotonic() - self._started_s) * 1000, 1)
            self._has_begun = self._has_begun or isinstance(event, TextDelta | ToolCallDelta | ToolCall)
            yield event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        first_token_ms = self._first_token_ms
        put_metrics(
            {"Turns": 1} | ({"FirstTokenMs": first_token_ms} if first_token_ms is not None else {}),
            outcome=self._outcome(kind),
            model=self._model_id(),
        )

    def _outcome(self, kind: type[BaseException] | None) -> str:
        if kind is None:
            return "completed"
        if issubclass(kind, GeneratorExit | Unauthorized):
            return "stopped"
        return "interrupted" if self._has_begun else "failed"


# The reading thread estimates the usage of an abandoned answer, and may have to load the tokenizer's tables first.
_CLOSE_TIMEOUT_S = 5.0
# How long a provider may take to end its stream after the deadline.
_REACTION_S = 1.0


def stream_completion(
    services: ChatServices,
    principal: Principal,
    name: str,
    request: ModelRequest,
    *,
    stops: Sequence[str],
    deadline: Deadline,
    ping_s: float | None = None,
) -> CompletionStream:
    """Reserve the cost, call the models for `name` (a model, a strategy or an assistant), and settle the cost when the answer has ended.

    Raises AssistantNotFound, ModelNotFound, ModelCannot, ContextTooLong, RateLimited, BudgetExhausted, TooManyStreams,
    Unauthorized and Unavailable before any model is called. If the last call fails, iterating the events raises its error. A ping is
    yielded whenever nothing has arrived for `ping_s`, by default `PING_S`.
    """
    limit = services.stream_limits.answers
    lease = StreamLease(services.engine, "answer", user_id=principal.user_id, limit=limit, principal=principal)
    with ExitStack() as stack:
        stack.enter_context(lease)
        lease.hold()
        model, request = _with_assistant(services, principal, name, request)
        completion = _begin_completion(services, principal, model, request, lease, stops=stops, deadline=deadline, ping_s=ping_s or PING_S)
        stack.pop_all()  # the events release the lease
    return completion


def _with_assistant(services: ChatServices, principal: Principal, name: str, request: ModelRequest) -> tuple[str | None, ModelRequest]:
    """Return the model and the request of an assistant, if `name` names one, else `name` and the request."""
    if (assistant_id := parse_assistant(name)) is None:
        return name, request
    # A completion without an assistant does not import the module.
    from functions.chat.completions.assistant_request import make_assistant_request

    return make_assistant_request(services, principal, assistant_id, request)


def _begin_completion(
    services: ChatServices,
    principal: Principal,
    name: str | None,
    request: ModelRequest,
    lease: StreamLease,
    *,
    stops: Sequence[str],
    deadline: Deadline,
    ping_s: float,
) -> CompletionStream:
    billing_subject, catalogue = BillingSubject(principal.user_id, principal.api_key_id), services.catalogue()
    with principal_scope(services.engine, principal) as connection:
        candidates, request = _prepare_request(services, catalogue, name, request, user_id=principal.user_id)
        amount_usd = limits.max_cost_usd([candidate.model for candidate in candidates], request)
        admitted = limits.admit(connection, billing_subject, services.default_limits, amount_usd=amount_usd)
    metered = MeteredCall(
        services.engine,
        billing_subject,
        services.default_limits,
        amount_usd=amount_usd,
        purpose="chat",
        admitted=admitted,
        deadline=deadline,
    )
    model_stream = services.router.ask(
        candidates, request, user_id=principal.user_id, total_s=deadline.left_s, reserve_again=metered.reserve
    )
    metered.calls = model_stream.calls
    model_id = lambda: model_stream.calls[-1].model_id if model_stream.calls else candidates[0].id  # noqa: E731
    model_ms = lambda: sum(call.waited_s for call in model_stream.calls) * 1000  # noqa: E731
    count = CompletionCount(model_id)
    events = _settled_events(metered, lease, model_stream, StopSequences(stops), deadline, count, ping_s=ping_s)
    if request.options.parallel_tool_calls is False:
        events = with_one_call(events)
    return CompletionStream(events, model_id, model_ms=model_ms, abandon=partial(_abandon, metered, lease))


def _abandon(metered: MeteredCall, lease: StreamLease) -> None:
    """Release what a completion holds whose events nobody has read. Without the database, it expires."""
    with suppress(Unavailable), lease, metered:
        pass


def _prepare_request(
    services: ChatServices, catalogue: Catalogue, name: str | None, request: ModelRequest, *, user_id: UUID
) -> tuple[list[Candidate], ModelRequest]:
    """Return the models able to serve the request, and the request capped to the first model's output limit.

    Raises the first model's error if none can.
    """

    def build(candidate: Candidate) -> ModelRequest:
        limit = candidate.model.max_output_tokens
        capped = replace(request, max_output_tokens=min(request.max_output_tokens or limit, limit))
        _check_fits(candidate, capped)
        return capped

    return able_candidates(candidates_for(catalogue, services.environment, name=name, subject=user_id), build, can_serve)


def _check_fits(candidate: Candidate, request: ModelRequest) -> None:
    candidate.model.check(request, id=candidate.id)
    taken, limit = request_tokens(request, candidate.model), candidate.model.context_tokens
    if taken > limit:
        answer_tokens = request.max_output_tokens or 0
        raise ContextTooLong(candidate.id, tokens=taken - answer_tokens, limit=limit - answer_tokens)


def _settled_events(
    metered: MeteredCall,
    lease: StreamLease,
    model_stream: ModelStream,
    stops: StopSequences,
    deadline: Deadline,
    count: CompletionCount,
    *,
    ping_s: float,
) -> Generator[CompletionEvent]:
    """Yield the answer's events. The cost is settled before `Finished`, so that a complete answer is always paid for."""
    reader = StreamReader(model_stream)
    with count, lease, metered:
        try:
            events = count.watch(_leased(lease, _events_with_pings(reader, deadline, ping_s=ping_s)))
            finished = yield from _completion_events(model_stream, events, reader, stops)
        finally:
            reader.close(timeout_s=_CLOSE_TIMEOUT_S)
    yield finished


def _completion_events(
    model_stream: ModelStream, events: Iterator[ModelStreamEvent | Ping], reader: StreamReader[ModelStreamEvent], stops: StopSequences
) -> Generator[CompletionEvent, None, Finished]:
    finished: Finished | None = None
    for event in events:
        match event:
            case TextDelta(text):
                if shown := stops.feed(text):
                    yield TextDelta(shown, event.is_refusal)
                if stops.is_met:
                    reader.close(timeout_s=_CLOSE_TIMEOUT_S)
                    return Finished("stop", model_stream.calls[-1].usage, stops.met)
            case Ping():
                yield event
            case ToolCallDelta() | ToolCall() | ReasoningDelta() | Thought():
                if rest := stops.rest():
                    yield TextDelta(rest)
                yield event
            case Finished():
                finished = event
            case CallStarted():  # not part of any client's format
                continue
    if rest := stops.rest():
        yield TextDelta(rest)
    return finished or Finished("stop", model_stream.calls[-1].usage)


def _leased(lease: StreamLease, events: Iterator[ModelStreamEvent | Ping]) -> Iterator[ModelStreamEvent | Ping]:
    """Yield the events, and renew the lease before each event. Raises Unauthorized after a logout."""
    for event in events:
        lease.hold()
        yield event


def _events_with_pings(reader: StreamReader[ModelStreamEvent], deadline: Deadline, *, ping_s: float) -> Iterator[ModelStreamEvent | Ping]:
    """Yield the model's events, and a ping whenever no visible event has arrived for `ping_s`.

    The router ends the stream at the deadline. Raises OutOfTime if the provider's thread is busy computing and does not react.
    """
    shown_s = time.monotonic()
    while True:
        late_in_s = deadline.left_s + _REACTION_S
        try:
            event = reader.next(timeout_s=max(min(shown_s + ping_s - time.monotonic(), late_in_s), 0))
        except StreamEnded:
            return
        if event is None and late_in_s <= 0:
            raise OutOfTime("the provider does not react")
        if event is None and time.monotonic() - shown_s < ping_s:
            continue
        if not isinstance(event, CallStarted | Thought):
            shown_s = time.monotonic()
        yield Ping() if event is None else event
