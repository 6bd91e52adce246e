"""`parley admin usage`: who used which model, and what it cost."""

from collections.abc import Mapping

import click

from cli.admin_users import PATH as USERS_PATH
from cli.api import Api
from cli.fields import Fields
from cli.listing import Table, json_option, pages
from cli.options import with_api
from cli.short_ids import short
from cli.terminal import line

GROUPS = ("user", "model", "day")
NUMBERS = ("turns", "input_tokens", "output_tokens", "cost_usd")
NONE_YET = "Nothing was used in that time."


@click.command()
@click.option("--by", default="user", show_default=True, metavar="GROUPS", help="One or more of user,model,day.")
@click.option("--from", "start", metavar="DATE", help="First day or moment, in UTC.  [default: the first of this month]")
@click.option("--to", "end", metavar="DATE", help="End, not included.  [default: now]")
@json_option
@with_api
def usage(api: Api, by: str, start: str | None, end: str | None, as_json: bool) -> None:
    """Add up turns, tokens and cost, the dearest first."""
    groups = [name for name in GROUPS if name in by.replace(" ", "").split(",")]
    query = {"group_by": by, **({"from": start} if start else {}), **({"to": end} if end else {})}
    lines = list(pages(api, "/admin/usage", query))
    names = _names(api) if "user" in groups and lines and not as_json else {}
    table = Table((*groups, "turns", "tokens in", "tokens out", "cost"), lambda used: _row(used, groups, names), NONE_YET)
    table.show(lines, as_json=as_json)
    if len(lines) > 1 and not as_json:
        click.echo("total: {} turns, {} tokens in, {} tokens out, {}".format(*_numbers(*(_sum(lines, name) for name in NUMBERS))))


def _names(api: Api) -> dict[str, str]:
    return {account.text("id"): account.text("email") for account in pages(api, USERS_PATH)}


def _sum(lines: list[Fields], name: str) -> float:
    return sum(used.number(name) or 0 for used in lines)


def _row(used: Fields, groups: list[str], names: Mapping[str, str]) -> tuple[str, ...]:
    user_id = used.text("user_id")
    cells = {"user": line(names.get(user_id, "")) or short(user_id), "model": line(used.text("model")), "day": line(used.text("day"))}
    return *(cells[group] for group in groups), *_numbers(*(used.number(name) or 0 for name in NUMBERS))


def _numbers(turns: float, tokens_in: float, tokens_out: float, cost_usd: float) -> tuple[str, str, str, str]:
    return f"{turns:,.0f}", f"{tokens_in:,.0f}", f"{tokens_out:,.0f}", f"${cost_usd:,.4f}"
