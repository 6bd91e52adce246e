"""The warning that most of a month's budget is spent, for the user's web hooks."""

from decimal import Decimal
from uuid import UUID

from parley.db.engine import Connection
from parley.db.metering import budgets
from parley.db.metering.quotas import LOW_SHARE
from parley.db.webhooks import deliveries


def note_budget_warning(connection: Connection, *, user_id: UUID, default_usd: Decimal) -> list[UUID]:
    """Note the event `budget.warning` if 80% of the user's budget is spent, and return its new deliveries.

    Each web hook gets it once a month. Call this after a settlement whose reservation was low: no other call can cross the line.
    """
    budget = budgets.current_budget(connection, user_id=user_id, default_usd=default_usd)
    if budget.monthly_usd <= 0 or budget.spent_usd < LOW_SHARE * budget.monthly_usd:
        return []
    amounts = {"spent_usd": float(budget.spent_usd), "budget_usd": float(budget.monthly_usd)}
    data = amounts | {"renews_at": budget.resets_at.isoformat()}
    return deliveries.note(connection, "budget.warning", user_id=user_id, key=f"{budget.resets_at:%Y-%m}", data=data)
