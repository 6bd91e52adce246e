"""What the usage route gives."""

from datetime import date

from parley.http.paging import Listing
from parley.http.schemas import Output, Timestamp


class DayLineOut(Output):
    """What the calls of one model took in one day of UTC."""

    day: date
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float


class BudgetOut(Output):
    """This month's budget, whatever period was asked for; `reserved_usd` is for answers under way."""

    monthly_usd: float
    spent_usd: float
    reserved_usd: float
    left_usd: float
    resets_at: Timestamp


class UsagePage(Listing[DayLineOut]):
    """One page of usage, and the budget."""

    budget: BudgetOut
