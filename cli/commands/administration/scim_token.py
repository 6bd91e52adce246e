"""`parley admin scim-token`: make, show and revoke the token of the identity provider."""

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.errors import not_parley
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, json_option, short_id
from cli.options import with_api
from cli.output import local_time, one_line

PATH = "/admin/scim-token"


@click.group("scim-token", cls=ListGroup)
def scim_token() -> None:
    """Make, show and revoke the token by which an identity provider creates and disables accounts (SCIM)."""


@scim_token.command("list")
@json_option
@with_api
def list_tokens(api: ApiClient, as_json: bool) -> None:
    """List the valid tokens without their secrets: the current one, and for a day each that was replaced."""
    TOKEN_TABLE.show(Fields.of(api.fetch(HttpCall("GET", PATH))).parts("tokens"), as_json=as_json)


@scim_token.command()
@with_api
def make(api: ApiClient) -> None:
    """Make a token; the one before it stays valid for a day. Standard output receives only the token, which is never shown again."""
    made = Fields.of(api.fetch(HttpCall("POST", PATH)))
    if not made.text("token"):
        raise not_parley(api.url, "its answer has no token")
    click.echo(one_line(made.text("token")))
    click.echo(f"Enter it at your identity provider, with the address {one_line(made.text('base_url'))}. It is not shown again.", err=True)


@scim_token.command()
@terminal_input.yes_option
@with_api
def revoke(api: ApiClient, yes: bool) -> None:
    """Revoke all tokens: the identity provider can change nothing any more. Accounts and groups stay as they are."""
    terminal_input.require_confirmation("Revoke the tokens of the identity provider?", yes=yes)
    api.fetch(HttpCall("DELETE", PATH))
    click.echo("The identity provider's tokens are revoked.")


def _token_row(token: Fields) -> tuple[str, ...]:
    return (
        short_id(token.text("id")),
        local_time(token.text("created_at")),
        local_time(token.text("last_used_at")) or "never",
        local_time(token.text("expires_at")) or "never",
    )


TOKEN_TABLE = Table(("id", "created", "last used", "expires"), _token_row, "No token. Make one: parley admin scim-token make")
