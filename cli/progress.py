"""How far a long wait has come: one line on the terminal that writes itself anew."""

import sys
from types import TracebackType
from typing import Self

import click

from cli.terminal import line


class Progress:
    """Shows itself on stderr where that is a terminal, and is wiped away at the end."""

    def __enter__(self) -> Self:
        self._is_shown = sys.stderr.isatty()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.show("")

    def show(self, text: str) -> None:
        """Replace the line by `text`."""
        if self._is_shown:
            click.echo(f"\r\x1b[K{line(text)}", nl=False, err=True, color=True)
