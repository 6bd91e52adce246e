"""`parley sessions` and `parley audit`: the account's login sessions and security events."""

import json
import re
from urllib.parse import quote

import click

from cli.api import ApiClient
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, find_by_id, first_items, json_option, limit_option, short_id
from cli.options import with_api
from cli.output import local_time, one_line, shortened

SESSIONS_PATH = "/auth/sessions"


@click.group(cls=ListGroup)
def sessions() -> None:
    """List your login sessions, and end them."""


@sessions.command("list")
@json_option
@with_api
def list_sessions(api: ApiClient, as_json: bool) -> None:
    """List your login sessions, newest first."""
    SESSION_TABLE.show(list(all_items(api, SESSIONS_PATH)), as_json=as_json)


@sessions.command()
@click.argument("session", metavar="ID")
@with_api
def end(api: ApiClient, session: str) -> None:
    """End a session. ID may be a short id. To end all sessions: parley logout --everywhere"""
    found = find_by_id(all_items(api, SESSIONS_PATH), session, noun="session", listed_by="parley sessions")
    api.fetch(HttpCall("DELETE", f"{SESSIONS_PATH}/{quote(found.text('id'), safe='')}"))
    if found.get("current") is True:
        api.sessions.forget(api.url)
    click.echo(f"Ended session {short_id(found.text('id'))}, last used {local_time(found.text('last_used_at'))}")


def _session_row(session: Fields) -> tuple[str, ...]:
    return (
        short_id(session.text("id")),
        one_line(session.text("address")),
        shortened(session.text("client_name") or session.text("user_agent"), characters=40),
        local_time(session.text("last_used_at")),
        "this one" if session.get("current") is True else "",
    )


SESSION_TABLE = Table(("id", "address", "program", "last used", ""), _session_row, "No sessions.")


@click.command()
@limit_option
@json_option
@with_api
def audit(api: ApiClient, limit: int, as_json: bool) -> None:
    """List security events of your account, newest first: logins, changes and API keys."""
    EVENT_TABLE.show(first_items(api, "/auth/audit", limit=limit), as_json=as_json)


def _event_row(event: Fields) -> tuple[str, ...]:
    return (
        local_time(event.text("at")),
        one_line(event.text("event")).replace("_", " "),
        one_line(event.text("address")),
        shortened(event.text("user_agent"), characters=30),
        shortened(_detail_text(event.part("detail")), characters=60),
    )


def _detail_text(detail: Fields) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {_detail_value(value)}" for name, value in detail.items())


def _detail_value(value: object) -> str:
    if isinstance(value, str):
        return short_id(value) if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value) else value
    return json.dumps(value, ensure_ascii=False)


EVENT_TABLE = Table(("time", "event", "address", "program", "detail"), _event_row, "No events yet.")
