"""`parley audit`: what happened to the account."""

import json
import re

import click

from cli.api import Api
from cli.fields import Fields
from cli.listing import Table, json_option, limit_option, newest
from cli.moments import local_time
from cli.options import with_api
from cli.short_ids import short
from cli.terminal import line, shortened


@click.command()
@limit_option
@json_option
@with_api
def audit(api: Api, limit: int, as_json: bool) -> None:
    """List what happened to your account, the newest first: logins elsewhere, changes, API keys."""
    EVENTS.show(newest(api, "/auth/audit", limit=limit), as_json=as_json)


def _row(event: Fields) -> tuple[str, ...]:
    return (
        local_time(event.text("at")),
        line(event.text("event")).replace("_", " "),
        line(event.text("address")),
        shortened(event.text("user_agent"), characters=30),
        shortened(_detail(event.part("detail")), characters=60),
    )


def _detail(detail: Fields) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {_value(value)}" for name, value in detail.items())


def _value(value: object) -> str:
    if isinstance(value, str):
        return short(value) if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value) else value
    return json.dumps(value, ensure_ascii=False)


EVENTS = Table(("when", "what", "where", "program", "detail"), _row, "Nothing has happened yet.")
