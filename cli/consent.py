"""The person's word about a call of a tool that needs it."""

import json
import sys

import click

from cli.errors import Unfinished
from cli.fields import Fields
from cli.terminal import line


class Consent:
    """Asks at the terminal, unless the word was given on the command line: `word` is it, None if none was."""

    def __init__(self, word: bool | None = None) -> None:
        self.word = word

    def to(self, call: Fields) -> bool:
        """Return whether the call may be run. All of its arguments are shown: what is hidden cannot be agreed to.

        Raises `Unfinished` where nobody can be asked.
        """
        if self.word is not None:
            return self.word
        if not sys.stdin.isatty():
            raise nobody(call)
        arguments = json.dumps(call.get("arguments"), ensure_ascii=False)
        try:
            return click.confirm(line(f"Run {call.text('name')} {arguments}?"), err=True)
        except click.Abort as exc:
            if isinstance(exc.__context__, EOFError):
                raise nobody(call) from exc
            raise KeyboardInterrupt from exc


def nobody(call: Fields) -> Unfinished:
    """Return the error that nobody said a word."""
    name = line(call.text("name")) or "a tool"
    return Unfinished(
        f"The answer waits for your approval of {name}. In scripts: --yes or --no. A new message in this conversation denies it."
    )
