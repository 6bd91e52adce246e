"""Whole completions, without streaming, from the model of a role, paid for by the user.

The price of each call is reserved before the call and settled after it. Background work counts against the month's budget, not
against the requests per minute.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from parley.db.engine import Engine
from parley.db.metering.usage import CallPurpose
from parley.deadline import Deadline
from parley.errors import ParleyError
from parley.llm.candidates import Candidate, candidates_for
from parley.llm.catalogue import Catalogue, ModelRole
from parley.llm.messages import Finished, ModelRequest, TextDelta
from parley.llm.router import ModelRouter, ModelStream
from parley.metering import limits
from parley.metering.limits import BillingSubject, DefaultLimits
from parley.metering.metered_call import MeteredCall

CALL_TIMEOUT_S = 90.0
_MIN_CALL_S = 5.0
_PURPOSES_BY_TASK: dict[str, CallPurpose] = {"title": "title", "summary": "summary", "facts": "facts", "describe": "describe"}


class DeadlineTooClose(ParleyError):
    """Too little of the invocation's time is left for a call. Finished work is stored, and a later job continues it."""


class CompletionServices(Protocol):
    """The services that a completion needs: models, vendor keys in `environment`, and the users' default limits."""

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
    """A model's whole answer, and the id of the model that gave it. If `is_refused`, the text is an apology or was cut off by a filter."""

    text: str
    model: str
    is_refused: bool = False


def model_candidates(services: CompletionServices, role: ModelRole, *, user_id: UUID) -> list[Candidate]:
    """Return the models of a role, in the order in which to try them. Raises NoModel."""
    return candidates_for(services.catalogue(), services.environment, role=role, subject=user_id)


def max_prompt_tokens(models: Sequence[Candidate], *, answer_tokens: int) -> int:
    """Return the maximum number of prompt tokens that every model accepts if the answer may take `answer_tokens`."""
    return min(candidate.model.context_tokens - min(answer_tokens, candidate.model.max_output_tokens) for candidate in models)


def complete(
    services: CompletionServices,
    models: Sequence[Candidate],
    request: ModelRequest,
    *,
    user_id: UUID,
    deadline: Deadline,
    timeout_s: float = CALL_TIMEOUT_S,
) -> Completion:
    """Return the whole answer. Its cost is added to the user's usage under the request's task, even if the call fails.

    If no model supports the request's JSON schema, the request is sent without one, and only the prompt determines the answer's form.
    Raises DeadlineTooClose, BudgetExhausted, Unavailable, and ProviderFailed or a subclass if the models fail.
    """
    if deadline.left_s < _MIN_CALL_S:
        raise DeadlineTooClose(f"{deadline.left_s:.0f} s are left")
    capable = [candidate for candidate in models if candidate.supports(request)]
    if not capable:
        capable, request = list(models), replace(request, output=None)
    amount_usd = limits.max_cost_usd([candidate.model for candidate in capable], request)
    purpose = _PURPOSES_BY_TASK[request.task]
    with MeteredCall(
        services.engine, BillingSubject(user_id), services.default_limits, amount_usd=amount_usd, purpose=purpose, deadline=deadline
    ) as metered:
        stream = services.router.ask(
            capable, request, user_id=user_id, total_s=min(timeout_s, deadline.left_s), reserve_again=metered.reserve
        )
        metered.calls = stream.calls
        return _collected(stream)


def _collected(stream: ModelStream) -> Completion:
    # A stream without an end raises ProviderFailed.
    texts, is_refused = list[str](), False
    for event in stream:
        match event:
            case TextDelta(text, is_refusal):
                texts.append(text)
                is_refused = is_refused or is_refusal
            case Finished(reason):
                is_refused = is_refused or reason == "content_filter"
    return Completion("".join(texts).strip(), stream.calls[-1].model_id, is_refused)
