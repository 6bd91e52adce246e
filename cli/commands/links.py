"""`parley links`: share conversations by links, list and revoke them."""

import click

from cli.api import ApiClient
from cli.commands.conversations import conversation_argument, find_conversation_id
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, find_by_id, first_items, json_option, limit_option, short_id
from cli.options import with_api_or_key
from cli.output import json_text, local_time, one_line, shortened

_AUDIENCES = {"public": "anyone", "signed_in": "people with an account"}


@click.group(cls=ListGroup)
def links() -> None:
    """Share conversations by links, list and revoke them."""


@links.command("list")
@limit_option
@json_option
@with_api_or_key
def list_links(api: ApiClient, limit: int, as_json: bool) -> None:
    """List your links that have not expired, newest first."""
    LINKS.show(first_items(api, "/links", limit=limit), as_json=as_json)


@links.command()
@conversation_argument
@click.option("--public", is_flag=True, help="Let anyone who has the link read it. Without it, only people with an account can.")
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="How long the link works.")
@json_option
@with_api_or_key
def create(api: ApiClient, conversation: str, public: bool, days: int, as_json: bool) -> None:
    """Make a link to a conversation as it is now. ID may be a short id.

    The link shows texts and the titles of cited sources, without images, tool calls and later messages.
    """
    body = {"audience": "public" if public else "signed_in", "expires_in_days": days}
    path = f"/conversations/{find_conversation_id(api, conversation)}/links"
    link = Fields.of(api.fetch(HttpCall("POST", path, body)))
    if as_json:
        click.echo(json_text(link))
        return
    click.echo(f"{api.url}/#/shared/{link.text('token')}")
    who = _AUDIENCES.get(link.text("audience"), link.text("audience"))
    click.secho(f"For {who}, until {local_time(link.text('expires_at'))}. It is not shown again.", dim=True, err=True)


@links.command()
@click.argument("link", metavar="ID")
@with_api_or_key
def revoke(api: ApiClient, link: str) -> None:
    """Revoke a link. ID may be a short id."""
    found = find_by_id(all_items(api, "/links"), link, noun="link", listed_by="parley links")
    api.fetch(HttpCall("DELETE", f"/links/{found.text('id')}"))
    click.echo(f"Revoked the link to {one_line(found.text('title')) or 'an untitled conversation'}")


def _link_row(link: Fields) -> tuple[str, ...]:
    title = shortened(link.text("title") or "untitled", characters=50)
    audience = _AUDIENCES.get(link.text("audience"), one_line(link.text("audience")))
    return short_id(link.text("id")), title, audience, local_time(link.text("expires_at"))


LINKS = Table(("id", "conversation", "for", "until"), _link_row, "You have shared no conversation.")
