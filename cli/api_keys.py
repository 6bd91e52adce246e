"""`parley api-keys`: keys for scripts and other programs."""

from urllib.parse import quote

import click

from cli import prompts
from cli.api import Api
from cli.api_key import VARIABLE
from cli.connection import Call
from cli.fields import Fields
from cli.listing import ListGroup, Table, json_option, pages
from cli.moments import Expiry, local_time
from cli.options import with_api
from cli.problem import stranger
from cli.short_ids import pick, short
from cli.terminal import line, shortened

PATH = "/auth/api-keys"
SCOPES = ("chat", "conversations", "tools", "documents")


@click.group(cls=ListGroup)
def api_keys() -> None:
    """List, make and revoke keys for scripts and other programs."""


@api_keys.command("list")
@json_option
@with_api
def list_all(api: Api, as_json: bool) -> None:
    """List your API keys, the newest first; the keys themselves are shown only when they are made."""
    KEYS.show(list(pages(api, PATH)), as_json=as_json)


@api_keys.command()
@click.argument("name")
@click.option("--scope", "scopes", type=click.Choice(SCOPES), multiple=True, help="What it may do; repeat it for more.  [default: all]")
@click.option("--expires", type=Expiry(), metavar="WHEN", help="12h, 90d, 4w or a date, a year at most.  [default: a year]")
@with_api
def create(api: Api, name: str, scopes: tuple[str, ...], expires: str | None) -> None:
    """Make an API key called NAME. The key alone goes to standard output, this once."""
    wish = {"name": name, "scopes": list(scopes), "expires_at": expires}
    made = Fields.of(api.fetch(Call("POST", PATH, {field: value for field, value in wish.items() if value})))
    if not made.text("key"):
        raise stranger(api.url, "it made no key")
    click.echo(line(made.text("key")))
    click.echo(f"{_described(made)} Keep it safe: it is not shown again. This client takes it from {VARIABLE}.", err=True)


@api_keys.command()
@click.argument("key", metavar="ID")
@prompts.yes_option
@with_api
def revoke(api: Api, key: str, yes: bool) -> None:
    """Make an API key useless at once; a short id will do."""
    found = pick(pages(api, PATH), key, noun="API key", listed_by="parley api-keys")
    named = f"the API key {line(found.text('name'))!r} ({short(found.text('id'))})"
    prompts.confirm(f"Revoke {named}? What uses it stops working at once.", yes=yes)
    api.fetch(Call("DELETE", f"{PATH}/{quote(found.text('id'), safe='')}"))
    click.echo(f"Revoked {named}")


def _described(key: Fields) -> str:
    return f"API key {line(key.text('name'))!r} ({short(key.text('id'))}) for {_scopes(key)}, until {local_time(key.text('expires_at'))}."


def _scopes(key: Fields) -> str:
    scopes = key.get("scopes")
    return line(", ".join(map(str, scopes))) if isinstance(scopes, list) else ""


def _row(key: Fields) -> tuple[str, ...]:
    return (
        short(key.text("id")),
        shortened(key.text("name"), characters=40),
        _scopes(key),
        local_time(key.text("expires_at")),
        local_time(key.text("last_used_at")) or "never",
    )


KEYS = Table(("id", "name", "may use", "expires", "last used"), _row, "No API keys yet. Make one: parley api-keys create NAME")
