"""`parley password` and `parley email`: change the password or e-mail address, or reset the password with an e-mailed code."""

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.options import with_api
from cli.output import one_line

NEW_LABEL = "New password"


@click.group()
def password() -> None:
    """Change your password, or reset it by e-mail."""


@password.command()
@click.option("--keep-api-keys", is_flag=True, help="Do not revoke your API keys.")
@with_api
def change(api: ApiClient, keep_api_keys: bool) -> None:
    """Change your password. Your sessions on other devices end, and your API keys are revoked."""
    api.require_session()
    current = terminal_input.prompt_password("Current password")
    new = terminal_input.prompt_password(NEW_LABEL, confirm=True)
    body = {"current_password": current, "new_password": new} | ({"keep_api_keys": True} if keep_api_keys else {})
    api.fetch(HttpCall("POST", "/auth/password", body))
    keys = "still work" if keep_api_keys else "are revoked"
    click.echo(f"Your password is changed. Your other sessions have ended and your API keys {keys}. You are still logged in here.")


@password.command()
@click.argument("email")
@click.option("--no-mail", is_flag=True, help="Use a code that you already have, and do not send a new one.")
@with_api
def reset(api: ApiClient, email: str, no_mail: bool) -> None:
    """Set a new password with a code that is e-mailed to EMAIL. All sessions end, and all API keys are revoked."""
    hint = f"To enter it later: parley password reset --no-mail {one_line(email)}"
    if not no_mail:
        api.public(HttpCall("POST", "/auth/password/forgot", {"email": email}))
        terminal_input.announce_code(api, f"{email}, if it has an account")
    code = terminal_input.prompt_code(hint=hint)
    body = {"email": email, "code": code, "new_password": terminal_input.prompt_password(NEW_LABEL, confirm=True)}
    api.public(HttpCall("POST", "/auth/password/reset", body))
    click.echo(f"Your password is changed. All sessions have ended and all API keys are revoked. Log in: parley login {one_line(email)}")


@click.command()
@click.argument("new_address")
@click.option("--no-mail", is_flag=True, help="Use a code that you already have, and do not send a new one.")
@with_api
def email(api: ApiClient, new_address: str, no_mail: bool) -> None:
    """Change your e-mail address to NEW_ADDRESS. This needs a code that is e-mailed to NEW_ADDRESS.

    It also needs your password, or none within ten minutes of a login at an issuer.
    """
    api.require_session()
    if not no_mail:
        api.fetch(HttpCall("POST", "/auth/email", {"password": terminal_input.current_password(), "new_email": new_address}))
        terminal_input.announce_code(api, new_address)
    code = terminal_input.prompt_code(hint=f"To enter it later: parley email --no-mail {one_line(new_address)}")
    api.fetch(HttpCall("POST", "/auth/email/confirm", {"code": code}))
    # The server sets the address that received the code. With --no-mail, the user may have typed a different address.
    current = Fields.of(api.fetch(HttpCall("GET", "/auth/me"))).text("email")
    api.sessions.change_email(api.url, current)
    click.echo(f"Your e-mail address is now {one_line(current)}")
