"""Asking the models directly: nothing is stored but what it cost. All of these routes' calls of chat models are made here."""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

from functions.chat.choosing import can_take
from functions.chat.compat.answering import Answering, Said
from functions.chat.compat.paying import pay
from functions.chat.compat.stopping import Stops
from functions.chat.context import takes_tokens
from functions.chat.desk import Desk
from functions.chat.events import Ping
from functions.chat.listener import Ended, Listener
from functions.chat.replay import PING_S
from parley.auth.principal import Principal
from parley.db.transactions import principal_scope, user_scope
from parley.deadline import Deadline
from parley.errors import ParleyError
from parley.llm.catalogue import Catalogue
from parley.llm.errors import ContextTooLong
from parley.llm.messages import Finished, ModelRequest, TextDelta, Thought, ToolCall
from parley.llm.router import CallStarted, Candidate, ModelStream, ModelStreamEvent
from parley.metering import limits
from parley.metering.limits import BillingSubject, Reservation

# The thread that reads also counts what an answer took that was left; the tokenizer's tables are loaded for it once.
_COUNTED_S = 5.0


def ask(services: Desk, principal: Principal, name: str, request: ModelRequest, *, stops: Sequence[str], deadline: Deadline) -> Answering:
    """Reserve the price, ask the models that `name` stands for, and settle when the answer has ended.

    Raises ModelNotFound, ModelCannot, ContextTooLong, RateLimited, BudgetExhausted, Unauthorized and Unavailable before
    anything is asked; the events raise what the last call failed by.
    """
    billing_subject, catalogue = BillingSubject(principal.user_id, principal.api_key_id), services.catalogue()
    with principal_scope(services.engine, principal) as connection:
        candidates, request = _prepared(services, catalogue, name, request, user_id=principal.user_id)
        amount_usd = limits.max_cost_usd([one.model for one in candidates], request)
        reservations = [limits.admit(connection, billing_subject, services.default_limits, amount_usd=amount_usd)]
    reserve_again = partial(_reserve_again, services, billing_subject, reservations)
    asked = services.router.ask(candidates, request, total_s=deadline.left_s, reserve_again=reserve_again)
    model_id = lambda: asked.calls[-1].model_id if asked.calls else candidates[0].id  # noqa: E731
    return Answering(_paid(services, billing_subject, asked, reservations, Stops(stops), deadline), model_id)


def _prepared(
    services: Desk, catalogue: Catalogue, name: str, request: ModelRequest, *, user_id: UUID
) -> tuple[list[Candidate], ModelRequest]:
    """Return the models that can take the request, and it with the limit of the first. Raises what that one refused by."""
    ids = catalogue.ordered(name, environment=services.environment, subject=user_id)
    candidates = [Candidate(id, catalogue.models[id]) for id in ids]
    refusals: list[ParleyError] = []
    for place, candidate in enumerate(candidates):
        most = candidate.model.max_output_tokens
        limited = replace(request, max_output_tokens=min(request.max_output_tokens or most, most))
        try:
            _check(candidate, limited)
        except ParleyError as exc:
            refusals.append(exc)
        else:
            return [candidate, *(other for other in candidates[place + 1 :] if can_take(other, limited))], limited
    raise refusals[0]


def _check(candidate: Candidate, request: ModelRequest) -> None:
    candidate.model.check(request, id=candidate.id)
    taken, limit = takes_tokens(request, candidate.model), candidate.model.context_tokens
    if taken > limit:
        answer_tokens = request.max_output_tokens or 0
        raise ContextTooLong(candidate.id, tokens=taken - answer_tokens, limit=limit - answer_tokens)


def _paid(
    services: Desk,
    billing_subject: BillingSubject,
    asked: ModelStream,
    reservations: Sequence[Reservation],
    stops: Stops,
    deadline: Deadline,
) -> Generator[Said]:
    """Pass the answer on, and its end only once it is paid for."""
    listener = Listener(asked)
    try:
        finished = yield from _said(asked, listener, stops)
    finally:
        listener.close(timeout_s=_COUNTED_S)
        pay(services.engine, billing_subject, asked.calls, reservations=reservations, deadline=deadline)
    yield finished


def _said(asked: ModelStream, listener: Listener[ModelStreamEvent], stops: Stops) -> Generator[Said, None, Finished]:
    finished: Finished | None = None
    for event in _heard(listener):
        match event:
            case TextDelta(text):
                if shown := stops.feed(text):
                    yield TextDelta(shown)
                if stops.is_met:
                    listener.close(timeout_s=_COUNTED_S)
                    return Finished("stop", asked.calls[-1].usage)
            case Ping() | ToolCall():
                yield event
            case Finished():
                finished = event
            case CallStarted() | Thought():  # nothing in OpenAI's words
                continue
    if held := stops.rest():
        yield TextDelta(held)
    return finished or Finished("stop", asked.calls[-1].usage)


def _heard(listener: Listener[ModelStreamEvent]) -> Iterator[ModelStreamEvent | Ping]:
    """Yield what comes, and a ping whenever nothing that is shown has come for long."""
    shown_s = time.monotonic()
    while True:
        try:
            event = listener.next(timeout_s=max(shown_s + PING_S - time.monotonic(), 0))
        except Ended:
            return
        if not isinstance(event, CallStarted | Thought):
            shown_s = time.monotonic()
        yield Ping() if event is None else event


def _reserve_again(services: Desk, billing_subject: BillingSubject, reservations: list[Reservation]) -> None:
    """Reserve for a call that is made anew while the vendor may charge for the one before. Raises BudgetExhausted."""
    with user_scope(services.engine, billing_subject.user_id) as connection:
        reservations.append(limits.reserve(connection, billing_subject, services.default_limits, amount_usd=reservations[0].amount_usd))
