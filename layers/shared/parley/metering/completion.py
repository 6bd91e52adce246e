"""A whole completion from the model of a role, paid for by the user.

The price of a call is reserved before it and settled after it. Background work counts against the month's budget, not
against the requests a minute.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Protocol
from uuid import UUID

from sqlalchemy import Engine

from parley.db.metering.usage import CallPurpose
from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.errors import ParleyError
from parley.llm.catalogue import Catalogue, ModelRole
from parley.llm.errors import ModelCannot, ProviderFailed
from parley.llm.messages import Finished, ModelRequest, TextDelta
from parley.llm.model import ModelCall
from parley.llm.router import Candidate, ModelRouter, ModelStream
from parley.metering import limits
from parley.metering.limits import BillingSubject, DefaultLimits, Reservation


class CallMeter:
    """The calls of one piece of work. It takes of the month's budget, and not of the requests a minute."""

    def __init__(self, engine: Engine, default_limits: DefaultLimits, user_id: UUID) -> None:
        self._engine, self._allowance, self._payer = engine, default_limits, BillingSubject(user_id)
        self._reservations: list[Reservation] = []

    def reserve(self, amount_usd: Decimal) -> None:
        """Set the price of a call aside. Raises BudgetExhausted and Unavailable."""
        with user_scope(self._engine, self._payer.user_id) as connection:
            self._reservations.append(limits.reserve(connection, self._payer, self._allowance, amount_usd=amount_usd))

    def settle(self, calls: Sequence[ModelCall], *, purpose: CallPurpose) -> None:
        """Store the calls, pay for them and free what was set aside. Raises Unavailable."""
        with user_scope(self._engine, self._payer.user_id) as connection:
            limits.settle(connection, self._payer, calls, reservations=self._reservations, purpose=purpose)


CALL_TIMEOUT_S = 90.0
_MIN_CALL_S = 5.0


class DeadlineTooClose(ParleyError):
    """The function's time is nearly over. What has been done so far is stored; the rest goes on from there."""


class CompletionServices(Protocol):
    """What is needed of a function's desk: the models with the environment in which their keys are, and what a user may spend."""

    @property
    def engine(self) -> Engine: ...
    @property
    def catalogue(self) -> Callable[[], Catalogue]: ...
    @property
    def router(self) -> ModelRouter: ...
    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def default_limits(self) -> DefaultLimits: ...


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model said, and which one it was."""

    text: str
    model: str


def model_candidates(services: CompletionServices, role: ModelRole, *, user_id: UUID) -> list[Candidate]:
    """Return the models that play a role, in the order in which to ask them. Raises NoModel."""
    catalogue = services.catalogue()
    ids = catalogue.ordered(role=role, environment=services.environment, subject=user_id)
    return [Candidate(id, catalogue.models[id]) for id in ids]


def max_prompt_tokens(models: Sequence[Candidate], *, answer_tokens: int) -> int:
    """Return how much any of the models can be given, where its answer may take `answer_tokens`."""
    return min(one.model.context_tokens - min(answer_tokens, one.model.max_output_tokens) for one in models)


def complete(
    services: CompletionServices,
    models: Sequence[Candidate],
    request: ModelRequest,
    *,
    user_id: UUID,
    deadline: Deadline,
    timeout_s: float = CALL_TIMEOUT_S,
) -> Completion:
    """Return the whole answer; its cost is in the user's usage under the request's task, whatever came of it.

    Where no model keeps to a schema, the answer's form is left to the prompt. Raises BudgetExhausted before a model is
    asked, OutOfTime, ProviderFailed or a kind of it, and Unavailable.
    """
    if deadline.left_s < _MIN_CALL_S:
        raise DeadlineTooClose(f"{deadline.left_s:.0f} s are left")
    capable = [one for one in models if _can_serve(one, request)]
    if not capable:
        capable, request = list(models), replace(request, output=None)
    meter, amount_usd = (
        CallMeter(services.engine, services.default_limits, user_id),
        limits.max_cost_usd([one.model for one in capable], request),
    )
    meter.reserve(amount_usd)
    reserve_again = partial(meter.reserve, amount_usd)
    stream = services.router.ask(capable, request, total_s=min(timeout_s, deadline.left_s), reserve_again=reserve_again)
    try:
        return _collected(stream)
    finally:
        meter.settle(stream.calls, purpose=_PURPOSES_BY_TASK[request.task])


def _can_serve(candidate: Candidate, request: ModelRequest) -> bool:
    try:
        candidate.model.check(request, id=candidate.id)
    except ModelCannot:
        return False
    return True


def _collected(stream: ModelStream) -> Completion:
    pieces: list[str] = []
    finished = False
    for event in stream:
        match event:
            case TextDelta(text):
                pieces.append(text)
            case Finished():
                finished = True
    if not finished:
        raise ProviderFailed(stream.calls[-1].model.provider, "the answer has no end")
    return Completion("".join(pieces).strip(), stream.calls[-1].model_id)


_PURPOSES_BY_TASK: dict[str, CallPurpose] = {"title": "title", "summary": "summary", "facts": "facts", "describe": "describe"}
