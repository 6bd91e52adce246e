"""How far a long wait has come: one line on the terminal that writes itself anew."""

import sys
from types import TracebackType
from typing import Self

import click

from cli.terminal import line

_BAR = 20


class Progress:
    """Shows itself on stderr where that is a terminal, and is wiped away at the end."""

    def __enter__(self) -> Self:
        self._is_shown = sys.stderr.isatty()
        self._step = ""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.show("")

    def show(self, text: str) -> None:
        """Replace the line by `text`."""
        if self._is_shown:
            click.echo(f"\r\x1b[K{line(text)}", nl=False, err=True, color=True)

    def step(self, text: str) -> None:
        """Print `text` as a line of its own where nobody sees `show`, unless it was the last that was printed."""
        if not self._is_shown and text != self._step:
            click.echo(line(text), err=True)
        self._step = text

    def keep(self, text: str) -> None:
        """Print a line on stdout that stays."""
        self.show("")
        click.echo(line(text))


def bar(share: float) -> str:
    """Return a share from 0 to 1 as a bar with its per cent."""
    done = min(max(share, 0.0), 1.0)
    full = round(done * _BAR)
    return f"[{'#' * full}{'.' * (_BAR - full)}] {done:.0%}"
