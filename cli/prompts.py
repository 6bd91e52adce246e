"""Questions to the person at the terminal; a script without an answer is told how to give one."""

import warnings
from getpass import GetPassWarning

import click

from cli.terminal import line


def asked(label: str, *, otherwise: str, hidden: bool = False, confirm: bool = False) -> str:
    """Return what is typed; `otherwise` says what to do where nobody types."""
    try:
        with warnings.catch_warnings():
            # Without a terminal a secret comes from standard input, where there is no echo to warn of.
            warnings.simplefilter("ignore", GetPassWarning)
            answer: str = click.prompt(label, hide_input=hidden, confirmation_prompt=confirm, err=True)
    except click.Abort as exc:
        if isinstance(exc.__context__, EOFError):
            raise click.UsageError(f"{label} is missing. {otherwise}") from exc
        raise
    return answer


def password(label: str = "Password", *, confirm: bool = False) -> str:
    """Return a password typed without an echo, twice with `confirm`."""
    return asked(label, hidden=True, confirm=confirm, otherwise="Run the command in a terminal: it asks for it.")


def code(*, otherwise: str) -> str:
    """Return a code as it stands in a mail."""
    return asked("Code from the mail", otherwise=otherwise).strip()


def confirm(question: str, *, yes: bool) -> None:
    """Go on only with the person's consent; `yes` is consent given on the command line."""
    if yes:
        return
    try:
        click.confirm(line(question), abort=True, err=True)
    except click.Abort as exc:
        if isinstance(exc.__context__, EOFError):
            raise click.UsageError("Nobody is there to confirm it. In scripts: --yes") from exc
        raise


yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
