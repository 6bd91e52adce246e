"""Where the text of an answer appears: unchanged on standard output, or as rendered Markdown in a terminal."""

import os
import sys
from typing import Protocol

import click

from cli.output import ControlFilter, print_note


class AnswerOutput(Protocol):
    """Shows an answer while it arrives. `pause` ends the current line, so that something else can be printed."""

    def wait(self) -> None:
        """Show that the model is working."""

    def write(self, text: str) -> None:
        """Show the next piece of the answer."""

    def note(self, text: str) -> None:
        """Show a remark about the turn, dim and apart from the answer."""

    def pause(self) -> None:
        """Finish what is being drawn. The next piece of text starts on a new line."""


def make_output(*, is_raw: bool = False) -> AnswerOutput:
    """Return rendered Markdown for a terminal, and plain output for pipes, dumb terminals and `is_raw`."""
    if is_raw or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return PlainOutput()
    from cli.chat.markdown_output import MarkdownOutput

    return MarkdownOutput()


class PlainOutput:
    """Prints the answer as it is, without control characters."""

    def __init__(self) -> None:
        self._filter = ControlFilter()
        self._is_mid_line = False

    def wait(self) -> None:
        """Show nothing: the output may be a file or a pipe."""

    def write(self, text: str) -> None:
        """Print the next piece."""
        if printable := self._filter.feed(text):
            click.echo(printable, nl=False)
            self._is_mid_line = not printable.endswith("\n")

    def note(self, text: str) -> None:
        """Print a dim line on stderr if it is a terminal."""
        # If both streams are the same terminal, a note must not continue an unfinished line of the answer.
        if sys.stdout.isatty() and sys.stderr.isatty():
            self.pause()
        print_note(text)

    def pause(self) -> None:
        """Move to the start of a line."""
        if self._is_mid_line:
            click.echo()
            self._is_mid_line = False
