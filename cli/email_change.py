"""`parley email`: another address for the account."""

import click

from cli import mailed, prompts
from cli.api import Api
from cli.connection import Call
from cli.fields import Fields
from cli.options import with_api
from cli.terminal import line


@click.command()
@click.argument("new_address")
@click.option("--no-mail", is_flag=True, help="Have no code mailed: you hold one already.")
@with_api
def email(api: Api, new_address: str, no_mail: bool) -> None:
    """Change your e-mail address to NEW_ADDRESS, by your password and a code that is mailed there."""
    api.require_session()
    if not no_mail:
        api.fetch(Call("POST", "/auth/email", {"password": prompts.password(), "new_email": new_address}))
        mailed.tell(api, new_address)
    code = prompts.code(otherwise=f"When you have it: parley email --no-mail {line(new_address)}")
    api.fetch(Call("POST", "/auth/email/confirm", {"code": code}))
    # The address that counts is the one the code was mailed to, whatever was typed with --no-mail.
    current = Fields.of(api.fetch(Call("GET", "/auth/me"))).text("email")
    api.sessions.readdress(api.url, current)
    click.echo(f"Your e-mail address is now {line(current)}")
