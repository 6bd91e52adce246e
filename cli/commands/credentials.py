"""`parley password` and `parley email`: change them, or reset the password by an emailed code."""

import click

from cli import prompts
from cli.api import ApiClient
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.options import with_api
from cli.output import one_line

NEW_LABEL = "New password"


@click.group()
def password() -> None:
    """Change your password, or set a new one by mail."""


@password.command()
@with_api
def change(api: ApiClient) -> None:
    """Change your password; your sessions elsewhere end."""
    api.require_session()
    known = prompts.prompt_password("Current password")
    api.fetch(
        HttpCall("POST", "/auth/password", {"current_password": known, "new_password": prompts.prompt_password(NEW_LABEL, confirm=True)})
    )
    click.echo("Your password is changed. Your sessions elsewhere have ended; this one and your API keys go on.")


@password.command()
@click.argument("email")
@click.option("--no-mail", is_flag=True, help="Have no code mailed: you hold one already.")
@with_api
def reset(api: ApiClient, email: str, no_mail: bool) -> None:
    """Set a new password by a code that is mailed to EMAIL; every session ends."""
    again = f"When you have it: parley password reset --no-mail {one_line(email)}"
    if not no_mail:
        api.public(HttpCall("POST", "/auth/password/forgot", {"email": email}))
        prompts.announce_code(api, f"{email}, if it has an account")
    code = prompts.prompt_code(hint=again)
    body = {"email": email, "code": code, "new_password": prompts.prompt_password(NEW_LABEL, confirm=True)}
    api.public(HttpCall("POST", "/auth/password/reset", body))
    click.echo(f"Your password is changed, and every session has ended. Log in: parley login {one_line(email)}")


@click.command()
@click.argument("new_address")
@click.option("--no-mail", is_flag=True, help="Have no code mailed: you hold one already.")
@with_api
def email(api: ApiClient, new_address: str, no_mail: bool) -> None:
    """Change your e-mail address to NEW_ADDRESS, by your password and a code that is mailed there."""
    api.require_session()
    if not no_mail:
        api.fetch(HttpCall("POST", "/auth/email", {"password": prompts.prompt_password(), "new_email": new_address}))
        prompts.announce_code(api, new_address)
    code = prompts.prompt_code(hint=f"When you have it: parley email --no-mail {one_line(new_address)}")
    api.fetch(HttpCall("POST", "/auth/email/confirm", {"code": code}))
    # The address that counts is the one the code was mailed to, whatever was typed with --no-mail.
    current = Fields.of(api.fetch(HttpCall("GET", "/auth/me"))).text("email")
    api.sessions.change_email(api.url, current)
    click.echo(f"Your e-mail address is now {one_line(current)}")
