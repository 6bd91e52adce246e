"""`parley api-keys`: list, create and revoke API keys."""

from urllib.parse import quote

import click

from cli import terminal_input
from cli.api import API_KEY_VARIABLE, ApiClient
from cli.errors import not_parley
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, find_by_id, json_option, short_id
from cli.options import Expiry, with_api
from cli.output import local_time, one_line, shortened

API_KEYS_PATH = "/auth/api-keys"
SCOPES = ("chat", "conversations", "tools", "documents", "approvals")


@click.group(cls=ListGroup)
def api_keys() -> None:
    """List, create and revoke API keys for scripts and other programs."""


@api_keys.command("list")
@json_option
@with_api
def list_api_keys(api: ApiClient, as_json: bool) -> None:
    """List your API keys, newest first. A key itself is shown only once, when it is created."""
    KEY_TABLE.show(list(all_items(api, API_KEYS_PATH)), as_json=as_json)


@api_keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    help="Permission of the key; can be repeated.  [default: all but approvals]",
)
@click.option("--expires", type=Expiry(), metavar="WHEN", help="12h, 90d, 4w or a date, at most a year ahead.  [default: a year]")
@terminal_input.password_from_stdin
@with_api
def create(api: ApiClient, name: str, scopes: tuple[str, ...], expires: str | None, password_stdin: bool) -> None:
    """Create an API key called NAME. Standard output receives only the key; it is never shown again.

    Needs your password, or none within ten minutes of a login at an issuer.
    """
    api.require_session()
    password = terminal_input.current_password(from_stdin=password_stdin)
    body = {"name": name, "password": password, "scopes": list(scopes), "expires_at": expires}
    created = Fields.of(api.fetch(HttpCall("POST", API_KEYS_PATH, {field: value for field, value in body.items() if value})))
    if not created.text("key"):
        raise not_parley(api.url, "its answer has no key")
    click.echo(one_line(created.text("key")))
    click.echo(f"{_details(created)} Store it safely: it is not shown again. This client reads it from {API_KEY_VARIABLE}.", err=True)


@api_keys.command()
@click.argument("key", metavar="ID")
@terminal_input.yes_option
@with_api
def revoke(api: ApiClient, key: str, yes: bool) -> None:
    """Revoke an API key immediately. ID may be a short id."""
    found = find_by_id(all_items(api, API_KEYS_PATH), key, noun="API key", listed_by="parley api-keys")
    label = f"the API key {one_line(found.text('name'))!r} ({short_id(found.text('id'))})"
    terminal_input.require_confirmation(f"Revoke {label}? Programs that use it stop working immediately.", yes=yes)
    api.fetch(HttpCall("DELETE", f"{API_KEYS_PATH}/{quote(found.text('id'), safe='')}"))
    click.echo(f"Revoked {label}")


def _details(key: Fields) -> str:
    label = f"{one_line(key.text('name'))!r} ({short_id(key.text('id'))})"
    return f"API key {label} for {_scopes(key)}, until {local_time(key.text('expires_at'))}."


def _scopes(key: Fields) -> str:
    scopes = key.get("scopes")
    return one_line(", ".join(map(str, scopes))) if isinstance(scopes, list) else ""


def _key_row(key: Fields) -> tuple[str, ...]:
    return (
        short_id(key.text("id")),
        shortened(key.text("name"), characters=40),
        _scopes(key),
        local_time(key.text("expires_at")),
        local_time(key.text("last_used_at")) or "never",
    )


KEY_TABLE = Table(("id", "name", "scopes", "expires", "last used"), _key_row, "No API keys yet. Create one: parley api-keys create NAME")
