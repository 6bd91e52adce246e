"""`parley admin`: who has an account, and what it may do."""

from typing import override
from urllib.parse import quote

import click

from cli import prompts
from cli.api import Api
from cli.connection import Call
from cli.errors import CliError
from cli.fields import Fields
from cli.listing import Table, json_option, limit_option, newest, pages
from cli.moments import local_time
from cli.options import with_api
from cli.short_ids import pick, short
from cli.terminal import line, shortened

PATH = "/admin/users"
LISTED_BY = "parley admin users"
account_argument = click.argument("account", metavar="EMAIL_OR_ID")


class Budget(click.ParamType):
    """A sum in US dollars, or `default` for the deployment's own."""

    name = "budget"

    @override
    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """Return the number, or the word."""
        if value.lower() == "default":
            return "default"
        try:
            return float(value.removeprefix("$"))
        except ValueError:
            self.fail(f"{value!r} is neither a number of US dollars nor `default`.", param, ctx)


@click.command()
@click.argument("part", required=False)
@limit_option
@json_option
@with_api
def users(api: Api, part: str | None, limit: int, as_json: bool) -> None:
    """List accounts, the newest first.

    PART is a part of the e-mail address to look for.
    """
    USERS.show(newest(api, PATH, limit=limit, query={"email": part} if part else None), as_json=as_json)


@click.command()
@account_argument
@prompts.yes_option
@with_api
def disable(api: Api, account: str, yes: bool) -> None:
    """Shut an account out.

    Its sessions end at once. Nothing is deleted.
    """
    found = find(api, account)
    prompts.confirm(f"Disable {found.text('email')} and end their sessions?", yes=yes)
    _change(api, found, {"disabled": True}, "is disabled")


@click.command()
@account_argument
@with_api
def enable(api: Api, account: str) -> None:
    """Let a disabled account in again."""
    _change(api, find(api, account), {"disabled": False}, "is enabled")


@click.command()
@account_argument
@click.argument("new_role", metavar="ROLE", type=click.Choice(["user", "admin"]))
@with_api
def role(api: Api, account: str, new_role: str) -> None:
    """Make somebody an admin, or a user.

    ROLE is `user` or `admin`; new rights come with the next renewal of the person's token, within minutes.
    """
    _change(api, find(api, account), {"role": new_role}, f"has the role {new_role}")


@click.command()
@account_argument
@click.argument("usd", metavar="USD|default", type=Budget())
@with_api
def budget(api: Api, account: str, usd: float | str) -> None:
    """Limit what an account may spend.

    The budget is in US dollars for a month; `default` is the deployment's own.
    """
    has = "the default monthly budget" if isinstance(usd, str) else f"a monthly budget of ${usd:,.2f}"
    _change(api, find(api, account), {"monthly_budget_usd": None if isinstance(usd, str) else usd}, f"has {has}")


def find(api: Api, given: str) -> Fields:
    """Return the account that `given` names: an e-mail address, an id, or the start or end of one."""
    if "@" not in given:
        return pick(pages(api, PATH), given, noun="account", listed_by=LISTED_BY)
    wanted = given.strip().lower()
    for account in pages(api, PATH, {"email": wanted}):
        if account.text("email").lower() == wanted:
            return account
    raise CliError(f"There is no account {line(given)!r}. They are listed by: {LISTED_BY}")


def _change(api: Api, account: Fields, changes: dict[str, object], outcome: str) -> None:
    api.fetch(Call("PATCH", f"{PATH}/{quote(account.text('id'), safe='')}", changes))
    click.echo(f"{line(account.text('email'))} {outcome}")


def _row(account: Fields) -> tuple[str, ...]:
    budget_usd = account.number("monthly_budget_usd")
    return (
        short(account.text("id")),
        line(account.text("email")),
        shortened(account.text("display_name"), characters=30),
        line(account.text("role")) + (", disabled" if account.get("disabled") is True else ""),
        "default" if budget_usd is None else f"${budget_usd:,.2f}",
        local_time(account.text("created_at")),
    )


USERS = Table(("id", "e-mail", "name", "role", "budget", "since"), _row, "No such accounts.")
