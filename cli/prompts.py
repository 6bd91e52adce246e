"""Questions to the person at the terminal: values, passwords, emailed codes, and the approval of tool calls.

A script without an answer is told how to give one.
"""

import json
import sys
import warnings
from getpass import GetPassWarning

import click

from cli.api import ApiClient
from cli.errors import TurnUnfinished
from cli.http import is_loopback
from cli.json_fields import Fields
from cli.output import one_line, print_note


def prompt(label: str, *, hint: str, hidden: bool = False, confirm: bool = False) -> str:
    """Return what is typed; `hint` says what to do where nobody types."""
    try:
        with warnings.catch_warnings():
            # Without a terminal a secret comes from standard input, where there is no echo to warn of.
            warnings.simplefilter("ignore", GetPassWarning)
            answer: str = click.prompt(label, hide_input=hidden, confirmation_prompt=confirm, err=True)
    except click.Abort as exc:
        if isinstance(exc.__context__, EOFError):
            raise click.UsageError(f"{label} is missing. {hint}") from exc
        raise
    return answer


def prompt_password(label: str = "Password", *, confirm: bool = False) -> str:
    """Return a password typed without an echo, twice with `confirm`."""
    return prompt(label, hidden=True, confirm=confirm, hint="Run the command in a terminal: it asks for it.")


def prompt_code(*, hint: str) -> str:
    """Return a code as it stands in a mail."""
    return prompt("Code from the mail", hint=hint).strip()


def require_confirmation(question: str, *, yes: bool) -> None:
    """Go on only with the person's consent; `yes` is consent given on the command line."""
    if yes:
        return
    try:
        click.confirm(one_line(question), abort=True, err=True)
    except click.Abort as exc:
        if isinstance(exc.__context__, EOFError):
            raise click.UsageError("Nobody is there to confirm it. In scripts: --yes") from exc
        raise


yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


class ApprovalPrompt:
    """Asks at the terminal, unless the word was given on the command line: `decision` is it, None if none was."""

    def __init__(self, decision: bool | None = None) -> None:
        self.decision = decision

    def approves(self, call: Fields) -> bool:
        """Return whether the call may be run. All of its arguments are shown: what is hidden cannot be agreed to.

        Raises `TurnUnfinished` where nobody can be asked.
        """
        if self.decision is not None:
            return self.decision
        if not sys.stdin.isatty():
            raise approval_missing(call)
        arguments = json.dumps(call.get("arguments"), ensure_ascii=False)
        try:
            return click.confirm(one_line(f"Run {call.text('name')} {arguments}?"), err=True)
        except click.Abort as exc:
            if isinstance(exc.__context__, EOFError):
                raise approval_missing(call) from exc
            raise KeyboardInterrupt from exc


def approval_missing(call: Fields) -> TurnUnfinished:
    """Return the error that nobody said a word."""
    name = one_line(call.text("name")) or "a tool"
    return TurnUnfinished(
        f"The answer waits for your approval of {name}. In scripts: --yes or --no. A new message in this conversation denies it."
    )


def announce_code(api: ApiClient, email: str) -> None:
    """Say that a code is on its way to `email`, and where to look for it."""
    click.echo(f"A code is on its way to {one_line(email)}.", err=True)
    if is_loopback(api.url):
        print_note("A stack on this computer shows its mails where `parley up` runs.")
