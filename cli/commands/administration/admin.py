"""`parley admin`: manage accounts and invites, report usage, and read the audit."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.commands.account_data import new_private_file, save_export
from cli.commands.administration.scim_token import scim_token
from cli.errors import CliError, not_parley
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import Table, all_items, find_by_id, first_items, json_option, limit_option, short_id
from cli.options import BudgetType, Expiry, with_api
from cli.output import local_time, one_line, shortened

USERS_PATH = "/admin/users"
USERS_LISTED_BY = "parley admin users"
INVITES_PATH = "/admin/invites"
USAGE_GROUPS = ("user", "model", "day")
USAGE_NUMBERS = ("turns", "input_tokens", "output_tokens", "cost_usd")
NO_USAGE = "No usage in this period."
FULL_ID_CHARACTERS = 36

account_argument = click.argument("account", metavar="EMAIL_OR_ID")


@click.command()
@click.argument("part", required=False)
@limit_option
@json_option
@with_api
def users(api: ApiClient, part: str | None, limit: int, as_json: bool) -> None:
    """List accounts, newest first.

    PART filters by a part of the e-mail address.
    """
    ACCOUNT_TABLE.show(first_items(api, USERS_PATH, limit=limit, query={"email": part} if part else None), as_json=as_json)


@click.command()
@account_argument
@terminal_input.yes_option
@with_api
def disable(api: ApiClient, account: str, yes: bool) -> None:
    """Disable an account.

    Its sessions end immediately. No data is deleted.
    """
    found = find_account(api, account)
    terminal_input.require_confirmation(f"Disable {found.text('email')} and end its sessions?", yes=yes)
    _change_account(api, found, {"disabled": True}, "is disabled")


@click.command()
@account_argument
@with_api
def enable(api: ApiClient, account: str) -> None:
    """Enable a disabled account."""
    _change_account(api, find_account(api, account), {"disabled": False}, "is enabled")


@click.command()
@account_argument
@click.argument("new_role", metavar="ROLE", type=click.Choice(["user", "admin"]))
@with_api
def role(api: ApiClient, account: str, new_role: str) -> None:
    """Change an account's role.

    ROLE is `user` or `admin`. It takes effect when the account's access token is next refreshed, within minutes.
    """
    _change_account(api, find_account(api, account), {"role": new_role}, f"has the role {new_role}")


@click.command()
@account_argument
@click.argument("usd", metavar="USD|default", type=BudgetType("default"))
@with_api
def budget(api: ApiClient, account: str, usd: float | str) -> None:
    """Set an account's monthly budget.

    The budget is in US dollars; `default` is the deployment's default.
    """
    amount_usd = None if isinstance(usd, str) else usd
    outcome = "has the default monthly budget" if amount_usd is None else f"has a monthly budget of ${amount_usd:,.2f}"
    _change_account(api, find_account(api, account), {"monthly_budget_usd": amount_usd}, outcome)


@click.command("end-sessions")
@click.argument("account", metavar="EMAIL_OR_ID", required=False)
@click.option("--all", "everybody", is_flag=True, help="End the sessions of all users; this asks for your password.")
@click.option("--revoke-api-keys", is_flag=True, help="Revoke their API keys, too.")
@terminal_input.yes_option
@terminal_input.password_from_stdin
@with_api
def end_sessions(api: ApiClient, account: str | None, *, everybody: bool, revoke_api_keys: bool, yes: bool, password_stdin: bool) -> None:
    """End all sessions of an account, or of everybody with --all.

    Your own session goes on. Users can log in again; `parley admin disable` prevents that.
    """
    if everybody == (account is not None):
        raise click.UsageError("Give either an account or --all.")
    found = find_account(api, account) if account else None
    whose = found.text("email") if found else "all users"
    keys = " and revoke their API keys" if revoke_api_keys else ""
    terminal_input.require_confirmation(f"End the sessions of {whose}{keys}?", yes=yes)
    body: dict[str, object] = {"revoke_api_keys": revoke_api_keys}
    if found is None:
        body |= {"password": terminal_input.current_password(from_stdin=password_stdin)}
    path = f"{USERS_PATH}/{quote(found.text('id'), safe='')}/sessions" if found else "/admin/sessions"
    ended = Fields.of(api.fetch(HttpCall("DELETE", path, body)))
    counts = f"Sessions ended: {ended.number('sessions') or 0:,.0f}. API keys revoked: {ended.number('api_keys') or 0:,.0f}."
    click.echo(counts if found else f"{counts} Users: {ended.number('users') or 0:,.0f}.")


def find_account(api: ApiClient, given: str) -> Fields:
    """Return the account whose e-mail address or id is `given`, or whose id starts or ends with it."""
    if "@" not in given:
        return find_by_id(all_items(api, USERS_PATH), given, noun="account", listed_by=USERS_LISTED_BY)
    email = given.strip().lower()
    for account in all_items(api, USERS_PATH, {"email": email}):
        if account.text("email").lower() == email:
            return account
    raise CliError(f"There is no account {one_line(given)!r}. To list them: {USERS_LISTED_BY}")


def _change_account(api: ApiClient, account: Fields, changes: dict[str, object], outcome: str) -> None:
    api.fetch(HttpCall("PATCH", f"{USERS_PATH}/{quote(account.text('id'), safe='')}", changes))
    click.echo(f"{one_line(account.text('email'))} {outcome}")


def _account_row(account: Fields) -> tuple[str, ...]:
    budget_usd = account.number("monthly_budget_usd")
    return (
        short_id(account.text("id")),
        one_line(account.text("email")),
        shortened(account.text("display_name"), characters=30),
        one_line(account.text("role")) + (", disabled" if account.get("disabled") is True else ""),
        "default" if budget_usd is None else f"${budget_usd:,.2f}",
        local_time(account.text("created_at")),
    )


ACCOUNT_TABLE = Table(("id", "e-mail", "name", "role", "budget", "since"), _account_row, "No matching accounts.")


@click.command()
@click.argument("email", required=False)
@click.option("--expires", type=Expiry(), metavar="WHEN", help="12h, 30d, 4w or a date, 90 days at most.  [default: a week]")
@with_api
def invite(api: ApiClient, email: str | None, expires: str | None) -> None:
    """Create an invite for one account.

    With EMAIL, only this address can use the invite. Standard output receives only the invite code.
    """
    body = {"email": email, "expires_at": expires}
    created = Fields.of(api.fetch(HttpCall("POST", INVITES_PATH, {field: value for field, value in body.items() if value})))
    if not created.text("invite"):
        raise not_parley(api.url, "its answer has no invite")
    click.echo(one_line(created.text("invite")))
    until = local_time(created.text("expires_at"))
    click.echo(
        f"For {_invited_address(created)}, until {until}; it is not shown again. To use it: parley register --url {api.url} --invite …",
        err=True,
    )


@click.command()
@json_option
@with_api
def invites(api: ApiClient, as_json: bool) -> None:
    """List the open invites."""
    INVITE_TABLE.show(list(all_items(api, INVITES_PATH)), as_json=as_json)


@click.command()
@click.argument("invite_id", metavar="ID")
@with_api
def uninvite(api: ApiClient, invite_id: str) -> None:
    """Revoke an invite.

    ID may be a short id. To list the invites: parley admin invites
    """
    found = find_by_id(all_items(api, INVITES_PATH), invite_id, noun="invite", listed_by="parley admin invites")
    api.fetch(HttpCall("DELETE", f"{INVITES_PATH}/{quote(found.text('id'), safe='')}"))
    click.echo(f"Revoked the invite for {_invited_address(found)}")


def _invited_address(invite: Fields) -> str:
    return one_line(invite.text("email")) or "any address"


def _invite_row(invite: Fields) -> tuple[str, ...]:
    return (
        short_id(invite.text("id")),
        _invited_address(invite),
        local_time(invite.text("created_at")),
        local_time(invite.text("expires_at")),
    )


INVITE_TABLE = Table(("id", "for", "created", "expires"), _invite_row, "No open invites. Create one: parley admin invite")


@click.command()
@click.option("--by", default="user", show_default=True, metavar="GROUPS", help="One or more of user,model,day.")
@click.option("--from", "start", metavar="DATE", help="First day or time, in UTC.  [default: the first of this month]")
@click.option("--to", "end", metavar="DATE", help="End of the period, exclusive.  [default: now]")
@json_option
@with_api
def usage(api: ApiClient, by: str, start: str | None, end: str | None, as_json: bool) -> None:
    """Sum turns, tokens and cost by group, highest cost first."""
    groups = [name for name in USAGE_GROUPS if name in by.replace(" ", "").split(",")]
    query = {"group_by": by, **({"from": start} if start else {}), **({"to": end} if end else {})}
    rows = list(all_items(api, "/admin/usage", query, most=None))
    names = _account_names(api) if "user" in groups and rows and not as_json else {}
    table = Table((*groups, "turns", "tokens in", "tokens out", "cost"), lambda item: _usage_row(item, groups, names), NO_USAGE)
    table.show(rows, as_json=as_json)
    if len(rows) > 1 and not as_json:
        click.echo(
            "total: {} turns, {} tokens in, {} tokens out, {}".format(*_formatted_numbers(*(_total(rows, name) for name in USAGE_NUMBERS)))
        )


def _account_names(api: ApiClient) -> dict[str, str]:
    return {account.text("id"): account.text("email") for account in all_items(api, USERS_PATH, most=None)}


def _total(rows: list[Fields], name: str) -> float:
    return sum(usage_row.number(name) or 0 for usage_row in rows)


def _usage_row(item: Fields, groups: list[str], names: Mapping[str, str]) -> tuple[str, ...]:
    user_id = item.text("user_id")
    cells = {
        "user": one_line(names.get(user_id, "")) or short_id(user_id),
        "model": one_line(item.text("model")),
        "day": one_line(item.text("day")),
    }
    return *(cells[group] for group in groups), *_formatted_numbers(*(item.number(name) or 0 for name in USAGE_NUMBERS))


def _formatted_numbers(turns: float, tokens_in: float, tokens_out: float, cost_usd: float) -> tuple[str, str, str, str]:
    return f"{turns:,.0f}", f"{tokens_in:,.0f}", f"{tokens_out:,.0f}", f"${cost_usd:,.4f}"


@click.command()
@click.option("--actor", metavar="EMAIL_OR_ID", help="Only what this account did.")
@click.option("--account", metavar="EMAIL_OR_ID", help="Only what concerns this account.")
@click.option("--action", help="Only this action, such as login or guard_hit.")
@click.option("--from", "start", metavar="DATE", help="First day or time, in UTC.  [default: the first of this month]")
@click.option("--to", "end", metavar="DATE", help="End of the period, exclusive.  [default: now]")
@click.option("--export", "path", type=click.Path(path_type=Path), metavar="FILE", help="Save all of it to FILE, as JSON lines.")
@limit_option
@json_option
@with_api
def audit(api: ApiClient, /, path: Path | None, limit: int, as_json: bool, **filters: str | None) -> None:
    """Show the audit of the deployment: who did what to whose account, newest first."""
    if path:
        with new_private_file(path) as file:
            written = save_export(api, file, path="/admin/audit/exports")
        click.echo(f"Saved the audit to {path} ({written:,} bytes). Only you can read the file.")
        return
    query = {"action": filters["action"], "from": filters["start"], "to": filters["end"]}
    query |= {f"{name}_id": _account_id(api, given) for name in ("actor", "account") if (given := filters[name])}
    AUDIT_TABLE.show(first_items(api, "/admin/audit", limit=limit, query={k: v for k, v in query.items() if v}), as_json=as_json)


def _account_id(api: ApiClient, given: str) -> str:
    """Return the id of an account. A whole id may be of a deleted account."""
    return given if len(given) == FULL_ID_CHARACTERS and "@" not in given else find_account(api, given).text("id")


def _audit_row(event: Fields) -> tuple[str, ...]:
    return (
        local_time(event.text("at")),
        one_line(event.text("action")) + (", refused" if event.text("outcome") == "refused" else ""),
        f"{one_line(event.text('actor'))} {short_id(event.text('actor_id'))}".strip(),
        short_id(event.text("account_id")),
        one_line(event.text("network")),
    )


AUDIT_TABLE = Table(("at", "action", "by", "account", "from"), _audit_row, "Nothing in this period.")


@click.group()
def admin() -> None:
    """Manage accounts and invites, report usage, and read the audit, as an admin."""


for command in (users, disable, enable, end_sessions, role, budget, invite, invites, uninvite, scim_token, usage, audit):
    admin.add_command(command)
