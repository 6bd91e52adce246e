"""The route of what a user has used."""

from datetime import date

from fastapi import APIRouter, Depends, Request

from functions.conversation.usage_schemas import BudgetOut, DayLineOut, UsagePage
from parley.db.metering import budgets, usage
from parley.http.date_range import DateRangeQuery
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.paging import Page, read_key

router = APIRouter(dependencies=[Depends(requires("conversations"))])


@router.get("/usage")
def show_usage(request: Request, principal: CurrentPrincipal, transaction: Transaction, page: Page, period: DateRangeQuery) -> UsagePage:
    """Add up the user's tokens and cost by day and model, newest day first, and tell what is left of the month's budget."""
    after = read_key(page.after, lambda day, model: usage.UsageCursor(date.fromisoformat(day), usage.parse_model(model)))
    found = usage.daily_usage(transaction, user_id=principal.user_id, start=period.start, end=period.end, limit=page.limit + 1, after=after)
    budget = budgets.current_budget(transaction, user_id=principal.user_id, default_usd=request.app.state.budget_usd)
    listing = page.listing(found, to_item=DayLineOut.model_validate, key=lambda line: [line.day, line.model])
    return UsagePage(**dict(listing), budget=BudgetOut.model_validate(budget))
