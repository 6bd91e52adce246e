"""`parley admin`: invites, for where registration needs one."""

from urllib.parse import quote

import click

from cli.api import Api
from cli.connection import Call
from cli.fields import Fields
from cli.listing import Table, json_option, pages
from cli.moments import Expiry, local_time
from cli.options import with_api
from cli.problem import stranger
from cli.short_ids import pick, short
from cli.terminal import line

PATH = "/admin/invites"


@click.command()
@click.argument("email", required=False)
@click.option("--expires", type=Expiry(), metavar="WHEN", help="12h, 30d, 4w or a date, 90 days at most.  [default: a week]")
@with_api
def invite(api: Api, email: str | None, expires: str | None) -> None:
    """Make an invite for one account.

    With EMAIL only that address may use it. The invite alone goes to standard output.
    """
    wish = {"email": email, "expires_at": expires}
    made = Fields.of(api.fetch(Call("POST", PATH, {field: value for field, value in wish.items() if value})))
    if not made.text("invite"):
        raise stranger(api.url, "it made no invite")
    click.echo(line(made.text("invite")))
    until = local_time(made.text("expires_at"))
    click.echo(f"For {_holder(made)}, until {until}; not shown again. To use it: parley register --url {api.url} --invite …", err=True)


@click.command()
@json_option
@with_api
def invites(api: Api, as_json: bool) -> None:
    """List the open invites."""
    INVITES.show(list(pages(api, PATH)), as_json=as_json)


@click.command()
@click.argument("invite_id", metavar="ID")
@with_api
def uninvite(api: Api, invite_id: str) -> None:
    """Take an invite back.

    A short id will do; they are listed by `parley admin invites`.
    """
    found = pick(pages(api, PATH), invite_id, noun="invite", listed_by="parley admin invites")
    api.fetch(Call("DELETE", f"{PATH}/{quote(found.text('id'), safe='')}"))
    click.echo(f"Took back the invite for {_holder(found)}")


def _holder(invite: Fields) -> str:
    return line(invite.text("email")) or "anybody"


def _row(invite: Fields) -> tuple[str, ...]:
    return short(invite.text("id")), _holder(invite), local_time(invite.text("created_at")), local_time(invite.text("expires_at"))


INVITES = Table(("id", "for", "made", "expires"), _row, "No open invites. Make one: parley admin invite")
