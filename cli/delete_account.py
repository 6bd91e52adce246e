"""`parley delete-account`: the end, for good."""

import click

from cli import prompts
from cli.api import Api
from cli.connection import Call
from cli.errors import CliError
from cli.fields import Fields
from cli.options import with_api
from cli.terminal import line


@click.command()
@with_api
def delete_account(api: Api) -> None:
    """Delete your account and everything in it, for good. `parley export` saves it first."""
    email = Fields.of(api.fetch(Call("GET", "/auth/me"))).text("email")
    click.echo(f"This deletes {line(email)} at {api.url} with all conversations, memories, documents and keys, for good.", err=True)
    click.echo("To keep a copy, stop here (Ctrl-C) and run: parley export", err=True)
    _confirm(email)
    api.fetch(Call("DELETE", "/auth/me", {"password": prompts.password()}))
    api.sessions.forget(api.url)
    click.echo("Your account is closed. Everything in it is deleted within a minute.")


def _confirm(email: str) -> None:
    typed = prompts.asked("Type your e-mail address to go on", otherwise="Run the command in a terminal: nothing else deletes an account.")
    if typed.strip().lower() != email.lower():
        raise CliError("That is not the address of the account. Nothing was deleted.")
