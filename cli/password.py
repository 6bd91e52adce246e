"""`parley password`: another one, by the old one or by a mailed code."""

import click

from cli import mailed, prompts
from cli.api import Api
from cli.connection import Call
from cli.options import with_api
from cli.terminal import line

NEW = "New password"


@click.group()
def password() -> None:
    """Change your password, or set a new one by mail."""


@password.command()
@with_api
def change(api: Api) -> None:
    """Change your password; your sessions elsewhere end."""
    api.require_session()
    known = prompts.password("Current password")
    api.fetch(Call("POST", "/auth/password", {"current_password": known, "new_password": prompts.password(NEW, confirm=True)}))
    click.echo("Your password is changed. Your sessions elsewhere have ended; this one and your API keys go on.")


@password.command()
@click.argument("email")
@click.option("--no-mail", is_flag=True, help="Have no code mailed: you hold one already.")
@with_api
def reset(api: Api, email: str, no_mail: bool) -> None:
    """Set a new password by a code that is mailed to EMAIL; every session ends."""
    again = f"When you have it: parley password reset --no-mail {line(email)}"
    if not no_mail:
        api.public(Call("POST", "/auth/password/forgot", {"email": email}))
        mailed.tell(api, f"{email}, if it has an account")
    code = prompts.code(otherwise=again)
    wish = {"email": email, "code": code, "new_password": prompts.password(NEW, confirm=True)}
    api.public(Call("POST", "/auth/password/reset", wish))
    click.echo(f"Your password is changed, and every session has ended. Log in: parley login {line(email)}")
