"""`parley usage`: the user's tokens, cost and budget."""

import click

from cli.api import ApiClient
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import MAX_LIMIT, Table
from cli.options import with_api_or_key
from cli.output import dollars, json_text, local_time, one_line

BAR_WIDTH = 30


@click.command()
@click.option("--from", "start", metavar="DATE", help="Begin with this day, such as 2026-11-01.")
@click.option("--to", "end", metavar="DATE", help="End before this day.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer as JSON.")
@with_api_or_key
def usage(api: ApiClient, start: str | None, end: str | None, as_json: bool) -> None:
    """Show your tokens and cost by day and model, newest day first, and this month's budget."""
    query: dict[str, str | int] = {"limit": MAX_LIMIT, **({"from": start} if start else {}), **({"to": end} if end else {})}
    page = Fields.of(api.fetch(HttpCall("GET", "/usage", query=query)))
    if as_json:
        click.echo(json_text(page))
        return
    USAGE_TABLE.show(page.parts("items"), as_json=False)
    if budget := page.part("budget"):
        click.echo("\n" + budget_line(budget))


def budget_line(budget: Fields) -> str:
    """Return the month's budget as a bar: `[#####.....] $1.20 of $5.00 spent, new on 2026-12-01 00:00`."""
    total, spent = budget.number("monthly_usd") or 0.0, budget.number("spent_usd") or 0.0
    filled = min(round(BAR_WIDTH * spent / total), BAR_WIDTH) if total else BAR_WIDTH
    bar = "#" * filled + "." * (BAR_WIDTH - filled)
    return f"[{bar}] {dollars(spent)} of {dollars(total)} spent this month, new on {local_time(budget.text('resets_at'))}"


def _usage_row(item: Fields) -> tuple[str, ...]:
    tokens = (f"{item.number(name) or 0:,.0f}" for name in ("input_tokens", "output_tokens"))
    return one_line(item.text("day")), one_line(item.text("model")), *tokens, dollars(item.number("cost_usd") or 0)


USAGE_TABLE = Table(("day", "model", "tokens in", "tokens out", "cost"), _usage_row, "Nothing used yet.")
