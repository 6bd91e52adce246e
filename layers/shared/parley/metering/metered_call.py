"""Reserve the price of a model call, make the call, and settle its cost."""

from collections.abc import Sequence
from decimal import Decimal
from types import TracebackType
from typing import Self

from parley.db.engine import Engine
from parley.db.metering.usage import CallPurpose
from parley.db.transactions import user_scope
from parley.deadline import Deadline, retry_while_unavailable
from parley.llm.model import ModelCall
from parley.metering import limits
from parley.metering.budget_alert import note_budget_warning
from parley.metering.limits import BillingSubject, DefaultLimits, Reservation
from parley.observability import put_metrics


class MeteredCall:
    """A context manager that reserves `amount_usd` on entry and settles `calls` on exit, even if they failed.

    Each step is one short transaction. `calls` may still grow while the block runs. Nothing is reserved on entry if a
    reservation was passed as `admitted` or made earlier with `reserve`. With a `deadline`, the settlement is retried while
    the database is briefly unavailable. A chat turn does not use this class: it settles in the transactions
    that store its answer.
    """

    def __init__(
        self,
        engine: Engine,
        billing_subject: BillingSubject,
        default_limits: DefaultLimits,
        *,
        amount_usd: Decimal,
        purpose: CallPurpose,
        calls: Sequence[ModelCall] = (),
        admitted: Reservation | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        self.calls = calls
        self._engine, self._billing_subject, self._default_limits = engine, billing_subject, default_limits
        self._amount_usd, self._purpose, self._deadline = amount_usd, purpose, deadline
        self._reservations = [admitted] if admitted else list[Reservation]()

    def __enter__(self) -> Self:
        if not self._reservations:
            self.reserve()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._settle()

    def reserve(self) -> None:
        """Reserve the price. Call this again before repeating a call for which the vendor may charge.

        Raises BudgetExhausted and Unavailable.
        """
        if self._amount_usd == 0:
            return  # a model without a price needs no reservation
        with user_scope(self._engine, self._billing_subject.user_id) as connection:
            self._reservations.append(limits.reserve(connection, self._billing_subject, self._default_limits, amount_usd=self._amount_usd))

    def _settle(self) -> None:
        count_spending(self.calls, purpose=self._purpose)
        if self._deadline is None:
            return self._settle_once()
        return retry_while_unavailable(self._settle_once, self._deadline)

    def _settle_once(self) -> None:
        with user_scope(self._engine, self._billing_subject.user_id) as connection:
            limits.settle(connection, self._billing_subject, self.calls, reservations=self._reservations, purpose=self._purpose)
            if any(reservation.is_low for reservation in self._reservations):
                # The upkeep function finds the noted events and sends them.
                note_budget_warning(connection, self._billing_subject, default_usd=self._default_limits.budget_usd)


def count_spending(calls: Sequence[ModelCall], *, purpose: CallPurpose) -> None:
    """Put the tokens and the cost of calls that have ended into the metrics, one line for each purpose.

    Metrics have no decimals: the ledger, not they, decides what a user has spent.
    """
    by_purpose: dict[CallPurpose, list[ModelCall]] = {}
    for call in calls:
        by_purpose.setdefault(call.purpose or purpose, []).append(call)
    for name, group in by_purpose.items():
        input_tokens, output_tokens = sum(call.usage.input_tokens for call in group), sum(call.usage.output_tokens for call in group)
        cost_usd = float(sum(call.cost_usd for call in group))
        put_metrics(
            {"Tokens": input_tokens + output_tokens, "CostUsd": cost_usd},
            purpose=name,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            model=group[-1].model_id,
        )
