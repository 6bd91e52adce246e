"""Stateless completions: call the models directly and store nothing but the cost.

All calls of chat models by these routes are made here. Stop sequences are applied here, too, so that they hold for every vendor.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from sqlalchemy import Engine

from functions.chat.services import ChatServices
from functions.chat.turn.events import Ping
from functions.chat.turn.prompt import can_serve, request_tokens
from functions.chat.turn.provider_stream import StreamEnded, StreamReader
from functions.chat.turn.replay import PING_S
from parley.auth.principal import Principal
from parley.db.metering.usage import CallPurpose
from parley.db.transactions import principal_scope, user_scope
from parley.deadline import GRACE_S, Deadline
from parley.errors import ParleyError, Unavailable
from parley.llm.catalogue import Catalogue
from parley.llm.errors import ContextTooLong
from parley.llm.messages import Finished, ModelRequest, TextDelta, Thought, ToolCall
from parley.llm.model import ModelCall
from parley.llm.router import CallStarted, Candidate, ModelStream, ModelStreamEvent
from parley.metering import limits
from parley.metering.limits import BillingSubject, Reservation

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


# What was spent is worth waiting for a database that is just restarting.
RETRY_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 2.0)


def settle_calls(
    engine: Engine,
    billing_subject: BillingSubject,
    calls: Sequence[ModelCall],
    *,
    reservations: Sequence[Reservation],
    deadline: Deadline,
    purpose: CallPurpose = "chat",
) -> None:
    """Store the calls, pay for them and free what was reserved. Raises Unavailable."""
    for pause_s in RETRY_PAUSES_S:
        try:
            return _settle_once(engine, billing_subject, calls, reservations, purpose)
        except Unavailable:
            if deadline.left_s + GRACE_S < pause_s + 1:
                raise
            time.sleep(pause_s)
    return _settle_once(engine, billing_subject, calls, reservations, purpose)


def _settle_once(
    engine: Engine, billing_subject: BillingSubject, calls: Sequence[ModelCall], reservations: Sequence[Reservation], purpose: CallPurpose
) -> None:
    with user_scope(engine, billing_subject.user_id) as connection:
        limits.settle(connection, billing_subject, calls, reservations=reservations, purpose=purpose)


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
        reservations = [limits.admit(connection, billing_subject, services.default_limits, amount_usd=amount_usd)]
    reserve_again = partial(_reserve_again, services, billing_subject, reservations)
    model_stream = services.router.ask(candidates, request, total_s=deadline.left_s, reserve_again=reserve_again)
    model_id = lambda: model_stream.calls[-1].model_id if model_stream.calls else candidates[0].id  # noqa: E731
    return CompletionStream(
        _settled_events(services, billing_subject, model_stream, reservations, StopSequences(stops), deadline), model_id
    )


def _prepare_request(
    services: ChatServices, catalogue: Catalogue, name: str, request: ModelRequest, *, user_id: UUID
) -> tuple[list[Candidate], ModelRequest]:
    """Return the models that can take the request, and it with the limit of the first. Raises what that one refused by."""
    ids = catalogue.ordered(name, environment=services.environment, subject=user_id)
    candidates = [Candidate(id, catalogue.models[id]) for id in ids]
    refusals: list[ParleyError] = []
    for place, candidate in enumerate(candidates):
        most = candidate.model.max_output_tokens
        limited = replace(request, max_output_tokens=min(request.max_output_tokens or most, most))
        try:
            _check_fits(candidate, limited)
        except ParleyError as exc:
            refusals.append(exc)
        else:
            return [candidate, *(other for other in candidates[place + 1 :] if can_serve(other, limited))], limited
    raise refusals[0]


def _check_fits(candidate: Candidate, request: ModelRequest) -> None:
    candidate.model.check(request, id=candidate.id)
    taken, limit = request_tokens(request, candidate.model), candidate.model.context_tokens
    if taken > limit:
        answer_tokens = request.max_output_tokens or 0
        raise ContextTooLong(candidate.id, tokens=taken - answer_tokens, limit=limit - answer_tokens)


def _settled_events(
    services: ChatServices,
    billing_subject: BillingSubject,
    model_stream: ModelStream,
    reservations: Sequence[Reservation],
    stops: StopSequences,
    deadline: Deadline,
) -> Generator[CompletionEvent]:
    """Pass the answer on, and its end only once it is paid for."""
    reader = StreamReader(model_stream)
    try:
        finished = yield from _completion_events(model_stream, reader, stops)
    finally:
        reader.close(timeout_s=_CLOSE_TIMEOUT_S)
        settle_calls(services.engine, billing_subject, model_stream.calls, reservations=reservations, deadline=deadline)
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


def _reserve_again(services: ChatServices, billing_subject: BillingSubject, reservations: list[Reservation]) -> None:
    """Reserve for a call that is made anew while the vendor may charge for the one before. Raises BudgetExhausted."""
    with user_scope(services.engine, billing_subject.user_id) as connection:
        reservations.append(limits.reserve(connection, billing_subject, services.default_limits, amount_usd=reservations[0].amount_usd))
