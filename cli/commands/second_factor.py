"""`parley second-factor`, the authenticator app that a login needs as well as the password, and `parley passkeys`."""

import io
import shutil
import sys
from urllib.parse import quote

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, find_by_id, json_option, short_id
from cli.options import with_api
from cli.output import local_time, one_line, shortened

PATH = "/auth/second-factor"
PASSKEYS_PATH = "/auth/passkeys"


@click.group(name="second-factor")
def second_factor() -> None:
    """Turn the second factor of your logins on or off."""


@second_factor.command()
@with_api
def status(api: ApiClient) -> None:
    """Show whether your logins need a code."""
    found = Fields.of(api.fetch(HttpCall("GET", PATH)))
    left = int(found.number("recovery_codes_left") or 0)
    click.echo(f"on, {left} recovery codes left" if found.get("enabled") is True else "off")


@second_factor.command()
@with_api
def on(api: ApiClient) -> None:
    """Add an authenticator app. Your other sessions end, and recovery codes are shown once.

    Needs your password, or none within ten minutes of a login at an issuer.
    """
    api.require_session()
    enrolment = Fields.of(api.fetch(HttpCall("POST", PATH, {"password": terminal_input.current_password()})))
    click.echo(f"Add this key to your authenticator app: {one_line(enrolment.text('secret'))}", err=True)
    click.echo(one_line(enrolment.text("uri")), err=True)
    _show_qr_code(enrolment.text("uri"))
    code = terminal_input.prompt("Code of the app", hint=terminal_input.TYPE_IT_HINT).strip()
    answer = api.fetch(HttpCall("POST", f"{PATH}/confirm", {"code": code}))
    click.echo("Keep these recovery codes. Each replaces one code of the app:", err=True)
    codes = Fields.of(answer).get("recovery_codes")
    for recovery_code in codes if isinstance(codes, list) else []:
        click.echo(one_line(str(recovery_code)))
    api.renew()


@second_factor.command()
@with_api
def off(api: ApiClient) -> None:
    """Remove the authenticator app.

    Needs a code, and your password, or none within ten minutes of a login at an issuer.
    """
    api.require_session()
    password = terminal_input.current_password()
    code = terminal_input.prompt("Code of the app, or a recovery code", hint=terminal_input.TYPE_IT_HINT).strip()
    api.fetch(HttpCall("DELETE", PATH, {"password": password, "code": code}))
    click.echo("The second factor is off.")


def _show_qr_code(text: str) -> None:
    """Draw a QR code on stderr, unless the terminal is too narrow or lacks the characters. Its colours suit dark and light terminals."""
    import segno  # few commands draw

    drawn = io.StringIO()
    try:
        segno.make_qr(text).terminal(drawn, compact=True)
        drawn.getvalue().encode(sys.stderr.encoding)
    except ValueError:  # also of text that is empty or too long for a QR code
        return
    lines = drawn.getvalue().splitlines()
    if len(lines[0]) <= shutil.get_terminal_size().columns:
        click.echo("Or scan this code with it:", err=True)
        for line in lines:
            click.secho(line, fg="bright_white", bg="black", err=True)


@click.group(cls=ListGroup)
def passkeys() -> None:
    """List and remove passkeys. Adding one and signing in with one need a browser: open the page."""


@passkeys.command("list")
@json_option
@with_api
def list_passkeys(api: ApiClient, as_json: bool) -> None:
    """List your passkeys, newest first."""
    PASSKEY_TABLE.show(list(all_items(api, PASSKEYS_PATH)), as_json=as_json)


@passkeys.command()
@click.argument("passkey", metavar="ID")
@terminal_input.yes_option
@with_api
def remove(api: ApiClient, passkey: str, yes: bool) -> None:
    """Remove a passkey. ID may be a short id.

    Needs your password, or none within ten minutes of a login at an issuer.
    """
    api.require_session()
    found = find_by_id(all_items(api, PASSKEYS_PATH), passkey, noun="passkey", listed_by="parley passkeys")
    label = f"the passkey {one_line(found.text('name'))!r} ({short_id(found.text('id'))})"
    terminal_input.require_confirmation(f"Remove {label}?", yes=yes)
    body = {"password": terminal_input.current_password()}
    api.fetch(HttpCall("DELETE", f"{PASSKEYS_PATH}/{quote(found.text('id'), safe='')}", body))
    click.echo(f"Removed {label}")


def _passkey_row(passkey: Fields) -> tuple[str, ...]:
    name = shortened(passkey.text("name"), characters=40)
    return (
        short_id(passkey.text("id")),
        name,
        local_time(passkey.text("created_at")),
        local_time(passkey.text("last_used_at")) or "never",
    )


PASSKEY_TABLE = Table(("id", "name", "added", "last used"), _passkey_row, "No passkeys yet. Add one in the page: Settings, Security")
