"""`parley second-factor`: the authenticator app that a login needs as well as the password."""

import click

from cli import prompts
from cli.api import ApiClient
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.options import with_api
from cli.output import one_line

PATH = "/auth/second-factor"
_HINT = "Run the command in a terminal to type it."


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
    """Add an authenticator app. Your other sessions end, and recovery codes are shown once."""
    api.require_session()
    enrolment = Fields.of(api.fetch(HttpCall("POST", PATH, {"password": prompts.prompt_password()})))
    click.echo(f"Add this key to your authenticator app: {one_line(enrolment.text('secret'))}", err=True)
    click.echo(one_line(enrolment.text("uri")), err=True)
    code = prompts.prompt("Code of the app", hint=_HINT).strip()
    answer = api.fetch(HttpCall("POST", f"{PATH}/confirm", {"code": code}))
    click.echo("Keep these recovery codes. Each replaces one code of the app:", err=True)
    codes = Fields.of(answer).get("recovery_codes")
    for recovery_code in codes if isinstance(codes, list) else []:
        click.echo(one_line(str(recovery_code)))


@second_factor.command()
@with_api
def off(api: ApiClient) -> None:
    """Remove the authenticator app."""
    api.require_session()
    password = prompts.prompt_password()
    code = prompts.prompt("Code of the app, or a recovery code", hint=_HINT).strip()
    api.fetch(HttpCall("DELETE", PATH, {"password": password, "code": code}))
    click.echo("The second factor is off.")
