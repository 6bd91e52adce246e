"""`parley groups`: found groups, invite people, join and leave."""

from collections.abc import Mapping
from urllib.parse import quote

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.errors import CliError
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, find_by_name, first_items, json_option, limit_option, name_and_id, short_id
from cli.options import BudgetType, with_api
from cli.output import local_time, one_line, shortened

GROUPS_PATH = "/auth/groups"
ADMIN_GROUPS_PATH = "/admin/groups"

group_argument = click.argument("group", metavar="GROUP")
group_option = click.option("--group", metavar="GROUP", help="A group of yours, by name or id.")
email_argument = click.argument("email", metavar="EMAIL")


def find_group(api: ApiClient, given: str, *, path: str = GROUPS_PATH) -> Fields:
    """Return the group with this name, or whose id is, starts or ends with `given`. Raises `CliError` if none or several match.

    With the admins' `path`, all groups of the server are searched.
    """
    return find_by_name(list(all_items(api, path)), given, noun="group", listed_by="parley groups")


def set_shared(api: ApiClient, path: str, group: str | None, *, shared: bool) -> str:
    """Share the object at `path` with a group, or without a group with everybody, or end that. Return with whom."""
    if group is None:
        api.fetch(HttpCall("PATCH", path, {"shared": shared}))
        return "all users"
    api.fetch(HttpCall("PUT" if shared else "DELETE", f"{path}/shares", {"group_id": find_group(api, group).text("id")}))
    return f"the group {one_line(group)!r}"


def owner_name(shared: Fields) -> str:
    """Return whose an own or shared object is, as lists show it."""
    return "you" if shared.get("is_own") is True else shared.part("owner").text("email") or "everybody's"


@click.group(cls=ListGroup)
def groups() -> None:
    """Found groups, invite people, join and leave. To share a document with a group: parley documents share

    GROUP is a name or an id; a short id will do.
    """


@groups.command("list")
@limit_option
@json_option
@with_api
def list_groups(api: ApiClient, limit: int, as_json: bool) -> None:
    """List your groups and invitations, newest first."""
    GROUP_TABLE.show(first_items(api, GROUPS_PATH, limit=limit), as_json=as_json)


@groups.command()
@click.argument("name")
@with_api
def add(api: ApiClient, name: str) -> None:
    """Found a group called NAME. You are its owner."""
    click.echo(f"Founded {name_and_id(Fields.of(api.fetch(HttpCall('POST', GROUPS_PATH, {'name': name}))))}")


@groups.command()
@group_argument
@click.argument("name")
@with_api
def rename(api: ApiClient, group: str, name: str) -> None:
    """Change the name of a group that you own to NAME."""
    found = find_group(api, group)
    changed = Fields.of(api.fetch(HttpCall("PATCH", _path(found), {"name": name})))
    click.echo(f"{name_and_id(found)} is now called {one_line(changed.text('name'))!r}")


@groups.command()
@group_argument
@terminal_input.yes_option
@with_api
def delete(api: ApiClient, group: str, yes: bool) -> None:
    """Delete a group that you own. Documents stay with the members who shared them."""
    found = find_group(api, group)
    terminal_input.delete_confirmed(api, _path(found), name_and_id(found), noun="the group ", yes=yes)


@groups.command()
@group_argument
@json_option
@with_api
def members(api: ApiClient, group: str, as_json: bool) -> None:
    """List a group's members; its owners also see who is invited."""
    MEMBER_TABLE.show(list(all_items(api, f"{_path(find_group(api, group))}/members")), as_json=as_json)


@groups.command()
@group_argument
@email_argument
@with_api
def invite(api: ApiClient, group: str, email: str) -> None:
    """Invite the address EMAIL to a group that you own. Its owner joins with `parley groups join`."""
    found = find_group(api, group)
    is_mailed = _set_member(api, found, {"email": email}).get("mailed") is True
    remark = "A mail tells them." if is_mailed else "No mail is sent: tell them yourself."
    click.echo(f"{one_line(email)} is invited to {name_and_id(found)} for 30 days. {remark}")


@groups.command()
@group_argument
@email_argument
@click.argument("new_role", metavar="ROLE", type=click.Choice(["member", "owner"]))
@with_api
def role(api: ApiClient, group: str, email: str, new_role: str) -> None:
    """Make the member EMAIL an owner, or an owner a member. ROLE is `member` or `owner`."""
    found = find_group(api, group)
    _set_member(api, found, {"email": email, "role": new_role})
    click.echo(f"{one_line(email)} has the role {new_role} in {name_and_id(found)}")


@groups.command()
@group_argument
@email_argument
@with_api
def remove(api: ApiClient, group: str, email: str) -> None:
    """Remove the member EMAIL, or withdraw the invitation of this address."""
    found = find_group(api, group)
    _remove_member(api, found, email)
    click.echo(f"{one_line(email)} is no longer in {name_and_id(found)}")


@groups.command()
@group_argument
@with_api
def join(api: ApiClient, group: str) -> None:
    """Accept an invitation. To decline it: parley groups leave"""
    found = find_group(api, group)
    api.fetch(HttpCall("POST", f"{_path(found)}/join"))
    click.echo(f"You are a member of {name_and_id(found)}")


@groups.command()
@group_argument
@with_api
def leave(api: ApiClient, group: str) -> None:
    """Leave a group, or decline an invitation. Your documents are no longer shared with it."""
    found = find_group(api, group)
    _remove_member(api, found, Fields.of(api.fetch(HttpCall("GET", "/auth/me"))).text("email"))
    click.echo(f"You are no longer in {name_and_id(found)}")


@groups.command()
@group_argument
@click.option("--members", "share", metavar="USD|default", type=BudgetType("default"), help="Monthly budget of each member.")
@click.option("--pool", metavar="USD|none", type=BudgetType("none"), help="Monthly budget of all members together. For admins.")
@with_api
def budget(api: ApiClient, group: str, share: float | str | None, pool: float | str | None) -> None:
    """Show the monthly budget of a group, or change it. An admin sets it, and an owner divides it among the members."""
    is_admin = Fields.of(api.fetch(HttpCall("GET", "/auth/me"))).text("role") == "admin"
    if pool is not None and not is_admin:
        raise CliError("Only an admin gives a group a budget. An owner divides it: --members")
    path = ADMIN_GROUPS_PATH if is_admin else GROUPS_PATH
    found = find_group(api, group, path=path)
    given = {"member_budget_usd": share, "monthly_budget_usd": pool}
    changes = {name: None if isinstance(usd, str) else usd for name, usd in given.items() if usd is not None}
    if changes:
        found = Fields.of(api.fetch(HttpCall("PATCH", f"{path}/{quote(found.text('id'), safe='')}", changes)))
    click.echo(f"{name_and_id(found)} {_budget_text(found)}")


def _budget_text(group: Fields) -> str:
    pool_usd, share_usd = group.number("monthly_budget_usd"), group.number("member_budget_usd")
    if pool_usd is None:
        return "has no budget of its own."
    left_usd = max(pool_usd - (group.number("spent_usd") or 0), 0)
    share = "the default budget" if share_usd is None else f"${share_usd:,.2f}"
    return f"has ${left_usd:,.2f} of ${pool_usd:,.2f} left this month. Each member may spend {share}."


def _path(group: Fields) -> str:
    return f"{GROUPS_PATH}/{quote(group.text('id'), safe='')}"


def _set_member(api: ApiClient, group: Fields, body: Mapping[str, str]) -> Fields:
    return Fields.of(api.fetch(HttpCall("PUT", f"{_path(group)}/members", body)))


def _remove_member(api: ApiClient, group: Fields, email: str) -> None:
    api.fetch(HttpCall("DELETE", f"{_path(group)}/members", {"email": email}))


def _group_row(group: Fields) -> tuple[str, ...]:
    members_count, budget_usd = group.number("members"), group.number("monthly_budget_usd")
    spent = f"${group.number('spent_usd') or 0:,.2f} of ${budget_usd:,.2f}" if budget_usd is not None else ""
    return (
        short_id(group.text("id")),
        shortened(group.text("name"), characters=40),
        one_line(group.text("role")),
        "" if members_count is None else f"{members_count:.0f}",
        spent,
    )


GROUP_TABLE = Table(
    ("id", "name", "you are", "members", "budget"), _group_row, "You are in no group. Found one: parley groups add Research"
)


def _member_row(member: Fields) -> tuple[str, ...]:
    name = shortened(member.text("display_name"), characters=30)
    return one_line(member.text("email")), name, one_line(member.text("role")), local_time(member.text("created_at"))


MEMBER_TABLE = Table(("e-mail", "name", "role", "since"), _member_row, "No members.")
