"""Stateless completions: call the models directly and store nothing but the cost.

All calls of chat models by these routes are made here. Stop sequences are applied here, too, so that they hold for every vendor.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from functions.chat.services import ChatServices
from functions.chat.turn.events import Ping
from functions.chat.turn.heartbeat import PING_S
from functions.chat.turn.prompt import can_serve, request_tokens
from functions.chat.turn.provider_stream import StreamEnded, StreamReader
from parley.auth.principal import Principal
from parley.db.transactions import principal_scope
from parley.deadline import Deadline
from parley.llm.candidates import Candidate, able_candidates, candidates_for
from parley.llm.catalogue import Catalogue
from parley.llm.errors import ContextTooLong
from parley.llm.messages import Finished, ModelRequest, TextDelta, Thought, ToolCall
from parley.llm.router import CallStarted, ModelStream, ModelStreamEvent
from parley.metering import limits
from parley.metering.limits import BillingSubject
from parley.metering.metered_call import MeteredCall

type CompletionEvent = TextDelta | ToolCall | Finished | Ping


@dataclass(frozen=True, slots=True)
class CompletionStream:
    """`events` end with one `Finished`, or raise; `model` tells who answers, for certain once the first event but a ping has come."""

    events: Generator[CompletionEvent]
    model: Callable[[], str]
    conversation_id: UUID | None = None


class StopSequences:
    """Passes text on until one of the sequences comes, which may be cut anywhere between two pieces."""

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences, self._held = sequences, ""
        self.is_met = False

    def feed(self, text: str) -> str:
        """Return what may be shown now: nothing from the sequence on, nothing that may yet become one."""
        text = self._held + text
        found = [place for sequence in self._sequences if (place := text.find(sequence)) >= 0]
        if found:
            self.is_met, self._held = True, ""
            return text[: min(found)]
        keep = max((_overlap(text, sequence) for sequence in self._sequences), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """Return what was held back, once the text has ended otherwise."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, sequence: str) -> int:
    """Return how many characters at the end of `text` begin `sequence`."""
    return next((size for size in range(min(len(sequence) - 1, len(text)), 0, -1) if text.endswith(sequence[:size])), 0)


# The thread that reads also counts what an answer took that was left; the tokenizer's tables are loaded for it once.
_CLOSE_TIMEOUT_S = 5.0


def stream_completion(
    services: ChatServices, principal: Principal, name: str, request: ModelRequest, *, stops: Sequence[str], deadline: Deadline
) -> CompletionStream:
    """Reserve the price, ask the models that `name` stands for, and settle when the answer has ended.

    Raises ModelNotFound, ModelCannot, ContextTooLong, RateLimited, BudgetExhausted, Unauthorized and Unavailable before
    anything is asked; the events raise what the last call failed by.
    """
    billing_subject, catalogue = BillingSubject(principal.user_id, principal.api_key_id), services.catalogue()
    with principal_scope(services.engine, principal) as connection:
        candidates, request = _prepare_request(services, catalogue, name, request, user_id=principal.user_id)
        amount_usd = limits.max_cost_usd([one.model for one in candidates], request)
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
    model_stream = services.router.ask(candidates, request, total_s=deadline.left_s, reserve_again=metered.reserve)
    metered.calls = model_stream.calls
    model_id = lambda: model_stream.calls[-1].model_id if model_stream.calls else candidates[0].id  # noqa: E731
    return CompletionStream(_settled_events(metered, model_stream, StopSequences(stops)), model_id)


def _prepare_request(
    services: ChatServices, catalogue: Catalogue, name: str, request: ModelRequest, *, user_id: UUID
) -> tuple[list[Candidate], ModelRequest]:
    """Return the models that can take the request, and it with the limit of the first. Raises what that one refused by."""

    def build(candidate: Candidate) -> ModelRequest:
        most = candidate.model.max_output_tokens
        limited = replace(request, max_output_tokens=min(request.max_output_tokens or most, most))
        _check_fits(candidate, limited)
        return limited

    return able_candidates(candidates_for(catalogue, services.environment, name=name, subject=user_id), build, can_serve)


def _check_fits(candidate: Candidate, request: ModelRequest) -> None:
    candidate.model.check(request, id=candidate.id)
    taken, limit = request_tokens(request, candidate.model), candidate.model.context_tokens
    if taken > limit:
        answer_tokens = request.max_output_tokens or 0
        raise ContextTooLong(candidate.id, tokens=taken - answer_tokens, limit=limit - answer_tokens)


def _settled_events(metered: MeteredCall, model_stream: ModelStream, stops: StopSequences) -> Generator[CompletionEvent]:
    """Pass the answer on, and its end only once it is paid for."""
    reader = StreamReader(model_stream)
    with metered:
        try:
            finished = yield from _completion_events(model_stream, reader, stops)
        finally:
            reader.close(timeout_s=_CLOSE_TIMEOUT_S)
    yield finished


def _completion_events(
    model_stream: ModelStream, reader: StreamReader[ModelStreamEvent], stops: StopSequences
) -> Generator[CompletionEvent, None, Finished]:
    finished: Finished | None = None
    for event in _events_with_pings(reader):
        match event:
            case TextDelta(text):
                if shown := stops.feed(text):
                    yield TextDelta(shown)
                if stops.is_met:
                    reader.close(timeout_s=_CLOSE_TIMEOUT_S)
                    return Finished("stop", model_stream.calls[-1].usage)
            case Ping() | ToolCall():
                yield event
            case Finished():
                finished = event
            case CallStarted() | Thought():  # nothing in OpenAI's words
                continue
    if held := stops.rest():
        yield TextDelta(held)
    return finished or Finished("stop", model_stream.calls[-1].usage)


def _events_with_pings(reader: StreamReader[ModelStreamEvent]) -> Iterator[ModelStreamEvent | Ping]:
    """Yield what comes, and a ping whenever nothing that is shown has come for long."""
    shown_s = time.monotonic()
    while True:
        try:
            event = reader.next(timeout_s=max(shown_s + PING_S - time.monotonic(), 0))
        except StreamEnded:
            return
        if not isinstance(event, CallStarted | Thought):
            shown_s = time.monotonic()
        yield Ping() if event is None else event
