"""The route of what a user has used."""

from datetime import date

from fastapi import APIRouter, Depends, Request

from functions.conversation.usage_schemas import BudgetOut, DayLineOut, UsagePage
from parley.db import budgets, usage
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.paging import Page, read_key
from parley.http.period import Period

router = APIRouter(dependencies=[Depends(requires("conversations"))])


@router.get("/usage")
def show_usage(request: Request, principal: CurrentPrincipal, transaction: Transaction, page: Page, period: Period) -> UsagePage:
    """Add up the user's tokens and cost by day and model, newest day first, and tell what is left of the month's budget."""
    after = read_key(page.after, lambda day, model: usage.Place(date.fromisoformat(day), usage.checked_model(model)))
    found = usage.days(transaction, user_id=principal.user_id, start=period.start, end=period.end, limit=page.limit + 1, after=after)
    budget = budgets.standing(transaction, user_id=principal.user_id, default_usd=request.app.state.budget_usd)
    listing = page.listing(found, to_item=DayLineOut.model_validate, key=lambda line: [line.day, line.model])
    return UsagePage(**dict(listing), budget=BudgetOut.model_validate(budget))
