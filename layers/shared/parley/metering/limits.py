"""Limits: the requests per minute and the budget per month of a user or of one of their API keys.

Call `admit` before a turn's first model call and `reserve` before each further call; call `settle` in the transaction that
stores their results. If the database is unavailable, the call fails before any money is spent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from parley.db.engine import Connection
from parley.db.metering import budgets, quotas, usage
from parley.db.metering.quotas import NO_DETAIL, BillingSubject, DefaultLimits, ReservationDetail
from parley.db.metering.usage import CallPurpose, Charge
from parley.errors import ParleyError
from parley.ids import new_id
from parley.llm.messages import ModelRequest, Usage
from parley.llm.model import Model, ModelCall
from parley.llm.tokens import estimate_request_tokens, max_request_tokens

__all__ = [
    "BillingSubject",
    "BudgetExhausted",
    "DefaultLimits",
    "RateLimited",
    "Reservation",
    "ReservationDetail",
    "admit",
    "max_cost_usd",
    "reservation_detail",
    "reserve",
    "settle",
]


class RateLimited(ParleyError):
    """The user or API key has sent too many requests within a minute."""

    status, code = 429, "rate_limited"
    public_message = "Too many requests. Wait for the number of seconds in Retry-After."

    def __init__(self, user_id: UUID, *, retry_after_s: float) -> None:
        super().__init__(f"user {user_id} must wait {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class BudgetExhausted(ParleyError):
    """The month's budget does not cover the highest possible cost of this call."""

    status, code = 402, "budget_exhausted"

    def __init__(self, user_id: UUID, *, amount_usd: Decimal, resets_at: datetime) -> None:
        super().__init__(f"user {user_id} has less than {amount_usd} USD left")
        self.public_message = f"This month's budget does not cover the call. The budget renews on {resets_at:%Y-%m-%d} (UTC)."
        self.resets_at = resets_at


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money reserved for calls, for 15 minutes at most. The amount is zero for models without a price.

    `is_low` means that with this call, spent and reserved money may exceed 80% of the user's or of the API key's budget.
    """

    id: UUID
    amount_usd: Decimal
    is_low: bool


def max_cost_usd(models: Iterable[Model], request: ModelRequest) -> Decimal:
    """Return the highest possible cost of one call with this request, at the most expensive of the models."""
    input_tokens = max_request_tokens(request)
    return max((_max_cost_usd(model, request, input_tokens) for model in models), default=Decimal(0))


def reservation_detail(turn_id: UUID, model_id: str, model: Model, request: ModelRequest) -> ReservationDetail:
    """Return the details from which the cost of the call is estimated if the turn is lost."""
    return ReservationDetail(
        turn_id, model_id, model.provider, estimate_request_tokens(request), model.input_usd_per_mtok, model.output_usd_per_mtok
    )


def admit(
    connection: Connection,
    billing_subject: BillingSubject,
    default_limits: DefaultLimits,
    *,
    amount_usd: Decimal,
    detail: ReservationDetail = NO_DETAIL,
) -> Reservation:
    """Count a request and reserve money for its first call, in one statement.

    Raises RateLimited and BudgetExhausted. The transaction must then be rolled back; the error does this when it leaves the scope.
    """
    return _reserve(connection, billing_subject, default_limits, amount_usd, detail, counts_request=True)


def reserve(
    connection: Connection,
    billing_subject: BillingSubject,
    default_limits: DefaultLimits,
    *,
    amount_usd: Decimal,
    detail: ReservationDetail = NO_DETAIL,
) -> Reservation:
    """Reserve money for a further call. Raises BudgetExhausted."""
    return _reserve(connection, billing_subject, default_limits, amount_usd, detail, counts_request=False)


def settle(
    connection: Connection,
    billing_subject: BillingSubject,
    calls: Sequence[ModelCall],
    *,
    reservations: Sequence[Reservation],
    purpose: CallPurpose = "chat",
    turn_id: UUID | None = None,
) -> bool:
    """Store the calls, charge their cost and release the reservations, in one statement. Idempotent.

    Return whether any of the reservations still existed.
    """
    charges = [_charge(call, purpose) for call in calls]
    is_ours = usage.settle(connection, billing_subject, charges, reservations=[item.id for item in reservations], turn_id=turn_id)
    for call in calls:
        if call.guard_hits:
            _record_guard_hits(connection, billing_subject, call, purpose)
    return is_ours


def _record_guard_hits(connection: Connection, billing_subject: BillingSubject, call: ModelCall, purpose: CallPurpose) -> None:
    """Add what the guards found in a call to the deployment's audit, once for each call."""
    from parley.db.accounts import audit

    user_id, key_id = billing_subject.user_id, billing_subject.api_key_id
    detail: dict[str, object] = {
        "model": call.model_id,
        "purpose": call.purpose or purpose,
        "hits": [asdict(hit) for hit in call.guard_hits],
    }
    detail |= {"api_key_id": str(key_id)} if key_id else {}
    is_refused = any(hit.action == "block" for hit in call.guard_hits)
    audit.record(
        connection, "guard_hit", actor="user", actor_id=user_id, account_id=user_id, id=call.id, is_refused=is_refused, detail=detail
    )


def _reserve(
    connection: Connection,
    billing_subject: BillingSubject,
    default_limits: DefaultLimits,
    amount_usd: Decimal,
    detail: ReservationDetail,
    *,
    counts_request: bool,
) -> Reservation:
    reservation_id = new_id()
    verdict = quotas.take_quota(
        connection, billing_subject, default_limits, id=reservation_id, amount_usd=amount_usd, counts_request=counts_request, detail=detail
    )
    if verdict.wait_s is not None:
        raise RateLimited(billing_subject.user_id, retry_after_s=verdict.wait_s)
    if not verdict.has_budget:
        raise BudgetExhausted(billing_subject.user_id, amount_usd=amount_usd, resets_at=budgets.resets_at(connection))
    return Reservation(reservation_id, amount_usd, is_low=verdict.is_low)


def _max_cost_usd(model: Model, request: ModelRequest, input_tokens: int) -> Decimal:
    output_tokens = min(request.max_output_tokens or model.max_output_tokens, model.max_output_tokens)
    uncached, cache_written = Usage(input_tokens, output_tokens), Usage(input_tokens, output_tokens, cache_write_tokens=input_tokens)
    return max(model.cost_usd(uncached), model.cost_usd(cache_written))


def _charge(call: ModelCall, purpose: CallPurpose) -> Charge:
    return Charge(
        call.id,
        call.purpose or purpose,
        call.model_id,
        call.model.provider,
        call.status,
        input_tokens=call.usage.input_tokens,
        output_tokens=call.usage.output_tokens,
        cached_input_tokens=call.usage.cached_input_tokens,
        cost_usd=call.cost_usd,
        is_estimate=call.usage.is_estimated,
    )
