"""Asks the model of a role, and has the user pay for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol
from uuid import UUID

from sqlalchemy import Engine

from parley import limits
from parley.bill import Bill
from parley.db.usage import Purpose
from parley.deadline import Deadline
from parley.errors import ParleyError
from parley.limits import Allowance
from parley.llm.failures import ModelCannot, ProviderFailed
from parley.llm.models import Catalogue, Role
from parley.llm.router import Asked, Candidate, Router
from parley.llm.types import Finished, Request, TextDelta

CALL_S = 90.0
_LEAST_S = 5.0


class OutOfTime(ParleyError):
    """The function's time is nearly over. What has been done so far is stored; the rest goes on from there."""


class Desk(Protocol):
    """What is needed of a function's desk: the models with the environment in which their keys are, and what a user may spend."""

    @property
    def engine(self) -> Engine: ...
    @property
    def catalogue(self) -> Callable[[], Catalogue]: ...
    @property
    def router(self) -> Router: ...
    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def allowance(self) -> Allowance: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said, and which one it was."""

    text: str
    model: str


def candidates(desk: Desk, role: Role, *, user_id: UUID) -> list[Candidate]:
    """Return the models that play a role, in the order in which to ask them. Raises NoModel."""
    catalogue = desk.catalogue()
    ids = catalogue.ordered(role=role, environment=desk.environment, subject=user_id)
    return [Candidate(id, catalogue.models[id]) for id in ids]


def room_tokens(models: Sequence[Candidate], *, answer_tokens: int) -> int:
    """Return how much any of the models can be given, where its answer may take `answer_tokens`."""
    return min(one.model.context_tokens - min(answer_tokens, one.model.max_output_tokens) for one in models)


def ask(desk: Desk, models: Sequence[Candidate], request: Request, *, user_id: UUID, deadline: Deadline, most_s: float = CALL_S) -> Answer:
    """Return the whole answer; its cost is in the user's usage under the request's task, whatever came of it.

    Where no model keeps to a schema, the answer's form is left to the prompt. Raises BudgetExhausted before a model is
    asked, OutOfTime, ProviderFailed or a kind of it, and Unavailable.
    """
    if deadline.left_s < _LEAST_S:
        raise OutOfTime(f"{deadline.left_s:.0f} s are left")
    fit = [one for one in models if _can(one, request)]
    if not fit:
        fit, request = list(models), replace(request, output=None)
    bill, amount_usd = Bill(desk.engine, desk.allowance, user_id), limits.worst_usd([one.model for one in fit], request)
    bill.reserve(amount_usd)
    reserve_again = partial(bill.reserve, amount_usd)
    asked = desk.router.ask(fit, request, total_s=min(most_s, deadline.left_s), reserve_again=reserve_again)
    try:
        return _heard(asked)
    finally:
        bill.settle(asked.calls, purpose=_PURPOSES[request.task])


def _can(candidate: Candidate, request: Request) -> bool:
    try:
        candidate.model.check(request, id=candidate.id)
    except ModelCannot:
        return False
    return True


def _heard(asked: Asked) -> Answer:
    pieces: list[str] = []
    finished = False
    for event in asked:
        match event:
            case TextDelta(text):
                pieces.append(text)
            case Finished():
                finished = True
    if not finished:
        raise ProviderFailed(asked.calls[-1].model.provider, "the answer has no end")
    return Answer("".join(pieces).strip(), asked.calls[-1].model_id)


_PURPOSES: dict[str, Purpose] = {"title": "title", "summary": "summary", "facts": "facts", "describe": "describe"}
