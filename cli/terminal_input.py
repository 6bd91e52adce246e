"""Input typed at the terminal: values, passwords, e-mailed codes, confirmations and tool approvals.

If standard input ends before the user answers, the error names the option for scripts.
"""

import sys
import warnings
from getpass import GetPassWarning

import click

from cli.api import ApiClient
from cli.errors import TurnUnfinished
from cli.http import HttpCall, is_loopback
from cli.json_fields import Fields
from cli.output import json_line, one_line, print_note

password_from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, for scripts.")
TYPE_IT_HINT = "Run the command in a terminal to type it."
yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


def prompt(label: str, *, hint: str, hidden: bool = False, confirm: bool = False, optional: bool = False) -> str:
    """Return the typed value. Only an `optional` one may be empty. If standard input ends first, the error shows `hint` as the remedy."""
    try:
        with warnings.catch_warnings():
            # Without a terminal, the secret comes from standard input, which has no echo to warn about.
            warnings.simplefilter("ignore", GetPassWarning)
            answer: str = click.prompt(
                label, default="" if optional else None, show_default=False, hide_input=hidden, confirmation_prompt=confirm, err=True
            )
    except click.Abort as exc:
        if isinstance(exc.__context__, EOFError):
            raise click.UsageError(f"{label} is missing. {hint}") from exc
        raise
    return answer


def prompt_password(label: str = "Password", *, confirm: bool = False) -> str:
    """Return a password typed without echo; with `confirm` it must be typed twice."""
    return prompt(label, hidden=True, confirm=confirm, hint=TYPE_IT_HINT)


def read_password_from_stdin() -> str:
    """Return the password that is piped into standard input."""
    text: str = click.get_text_stream("stdin", encoding="utf-8", errors="surrogateescape").read()
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        raise click.UsageError("Standard input is empty: pipe the password into it.")
    return password


def current_password(*, from_stdin: bool | None = None) -> str | None:
    """Return the user's password from standard input, or typed without echo. `from_stdin` is None if the command has no such option.

    None means that the user typed none: an account that signs in at an issuer may have no password, and the server then accepts a recent
    login there instead.
    """
    if from_stdin:
        return read_password_from_stdin()
    hint = TYPE_IT_HINT if from_stdin is None else "In scripts, pass it with --password-stdin."
    return prompt("Password (empty after a login at an issuer)", hidden=True, optional=True, hint=hint) or None


def prompt_code(*, hint: str) -> str:
    """Return the code from an e-mail."""
    return prompt("Code from the e-mail", hint=hint).strip()


def require_confirmation(question: str, *, yes: bool) -> None:
    """Ask the user to confirm, and abort the command if they decline. `yes` skips the question."""
    if yes:
        return
    try:
        click.confirm(one_line(question), abort=True, err=True)
    except click.Abort as exc:
        if isinstance(exc.__context__, EOFError):
            raise click.UsageError("This command needs confirmation. In scripts: --yes") from exc
        raise


def delete_confirmed(api: ApiClient, path: str, title: str, *, noun: str = "", yes: bool) -> None:
    """Delete the item at `path`, once the user has confirmed it, and print its title. `yes` skips the question."""
    require_confirmation(f"Delete {noun}{title}?", yes=yes)
    api.fetch(HttpCall("DELETE", path))
    click.echo(f"Deleted {title}")


class ApprovalPrompt:
    """Approves or denies tool calls: as `decision` says, or if it is None, by asking at the terminal."""

    def __init__(self, decision: bool | None = None) -> None:
        self.decision = decision

    def approves(self, call: Fields) -> bool:
        """Return whether the call may run. The prompt shows all arguments, so that the user knows what they approve.

        Raises `TurnUnfinished` if standard input is not a terminal.
        """
        if self.decision is not None:
            return self.decision
        if not sys.stdin.isatty():
            raise approval_missing(call)
        arguments = json_line(call.get("arguments"))
        try:
            return click.confirm(one_line(f"Run {call.text('name')} {arguments}?"), err=True)
        except click.Abort as exc:
            if isinstance(exc.__context__, EOFError):
                raise approval_missing(call) from exc
            raise KeyboardInterrupt from exc


def approval_missing(call: Fields) -> TurnUnfinished:
    """Return the error for a turn that waits for a decision on `call`."""
    name = one_line(call.text("name")) or "a tool"
    return TurnUnfinished(
        f"The answer is waiting for your approval of {name}. In scripts: --yes or --no. A new message in this conversation denies it."
    )


def announce_code(api: ApiClient, email: str) -> None:
    """Print that a code was sent to `email`, and where a local stack shows its e-mails."""
    click.echo(f"A code was sent to {one_line(email)}.", err=True)
    if is_loopback(api.url):
        print_note("A local stack prints its e-mails in the terminal of `parley up`.")
