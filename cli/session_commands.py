"""`parley sessions`: where you are logged in."""

from urllib.parse import quote

import click

from cli.api import Api
from cli.connection import Call
from cli.fields import Fields
from cli.listing import ListGroup, Table, json_option, pages
from cli.moments import local_time
from cli.options import with_api
from cli.short_ids import pick, short
from cli.terminal import line, shortened

PATH = "/auth/sessions"


@click.group(cls=ListGroup)
def sessions() -> None:
    """List where you are logged in, and end sessions."""


@sessions.command("list")
@json_option
@with_api
def list_all(api: Api, as_json: bool) -> None:
    """List where you are logged in, the newest first."""
    SESSIONS.show(list(pages(api, PATH)), as_json=as_json)


@sessions.command()
@click.argument("session", metavar="ID")
@with_api
def end(api: Api, session: str) -> None:
    """End a session; a short id will do. To end all: parley logout --everywhere"""
    found = pick(pages(api, PATH), session, noun="session", listed_by="parley sessions")
    api.fetch(Call("DELETE", f"{PATH}/{quote(found.text('id'), safe='')}"))
    if found.get("current") is True:
        api.sessions.forget(api.url)
    click.echo(f"Ended session {short(found.text('id'))}, last used {local_time(found.text('last_used_at'))}")


def _row(session: Fields) -> tuple[str, ...]:
    return (
        short(session.text("id")),
        line(session.text("address")),
        shortened(session.text("user_agent"), characters=40),
        local_time(session.text("last_used_at")),
        "this one" if session.get("current") is True else "",
    )


SESSIONS = Table(("id", "where", "program", "last used", ""), _row, "No sessions.")
