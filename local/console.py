"""The developer's terminal."""

import contextlib
import os
import sys
import threading
from typing import Literal, TextIO

type Colour = Literal["dim", "red", "yellow", "green", "bold"]

_CODES: dict[Colour, str] = {"dim": "2", "red": "31", "yellow": "33", "green": "32", "bold": "1"}


class Console:
    """Writes whole lines, in colour only to a terminal that wants it (https://no-color.org)."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._has_colour = self._out.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()

    def say(self, text: str = "", colour: Colour | None = None) -> None:
        """Write a line; a terminal that has gone away is no reason to stop."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._out.write(self.paint(text, colour) + "\n")
            self._out.flush()

    def step(self, name: str, detail: str, seconds: float) -> None:
        """Write a line of progress."""
        self.say(f"  {name:<12}{detail:<52}{seconds:>6.1f} s", "dim")

    def paint(self, text: str, colour: Colour | None) -> str:
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if colour and self._has_colour else text
