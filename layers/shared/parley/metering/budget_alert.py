"""The warning that most of a month's budget is spent, for web hooks: of the user's own budget, an API key's, or a group's pool."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from parley.db.engine import Connection
from parley.db.groups.pools import LowPool
from parley.db.metering import budgets
from parley.db.metering.quotas import LOW_SHARE
from parley.db.webhooks import deliveries
from parley.metering.limits import BillingSubject


@dataclass(frozen=True, slots=True)
class _Spending:
    """How much of a budget is spent. The budget belongs to the API key or the group in `subject`, or to the user if that is None."""

    spent_usd: Decimal
    budget_usd: Decimal
    renews_at: datetime
    subject: tuple[Literal["api_key_id", "group_id"], UUID] | None = None


def note_budget_warning(connection: Connection, billing_subject: BillingSubject, *, default_usd: Decimal) -> list[UUID]:
    """Note the event `budget.warning` for each budget of the user and of the API key of which 80% is spent; return its new deliveries.

    Each web hook gets it once a month for each budget. Call this after a settlement whose reservation was low: no other call can cross
    the line.
    """
    low = [spending for spending in _spendings(connection, billing_subject, default_usd) if _is_low(spending)]
    return [id for spending in low for id in _note(connection, spending, user_id=billing_subject.user_id)]


def note_pool_warning(connection: Connection, pool: LowPool, *, user_id: UUID) -> list[UUID]:
    """Note the event for an owner of a group whose pool is nearly spent, once a month; return its new deliveries."""
    return _note(connection, _Spending(pool.spent_usd, pool.budget_usd, pool.renews_at, ("group_id", pool.group_id)), user_id=user_id)


def _spendings(connection: Connection, billing_subject: BillingSubject, default_usd: Decimal) -> Iterator[_Spending]:
    user_id, key_id = billing_subject.user_id, billing_subject.api_key_id
    budget = budgets.current_budget(connection, user_id=user_id, default_usd=default_usd)
    yield _Spending(budget.spent_usd, budget.monthly_usd, budget.resets_at)
    if key_id and (of_key := budgets.key_budget(connection, key_id, user_id=user_id)):
        monthly_usd, spent_usd = of_key
        yield _Spending(spent_usd, monthly_usd, budget.resets_at, ("api_key_id", key_id))


def _is_low(spending: _Spending) -> bool:
    return spending.budget_usd > 0 and spending.spent_usd >= LOW_SHARE * spending.budget_usd


def _note(connection: Connection, spending: _Spending, *, user_id: UUID) -> list[UUID]:
    data: dict[str, object] = {
        "spent_usd": float(spending.spent_usd),
        "budget_usd": float(spending.budget_usd),
        "renews_at": spending.renews_at.isoformat(),
    }
    key = f"{spending.renews_at:%Y-%m}"
    if spending.subject:
        name, id = spending.subject
        data, key = data | {name: str(id)}, f"{key} {id}"
    return deliveries.note(connection, "budget.warning", user_id=user_id, key=key, data=data)
