"""Output to the developer's terminal, and the command that starts `parley` there."""

import contextlib
import os
import shlex
import shutil
import sys
import threading
from pathlib import Path
from typing import Literal, TextIO

_COMMAND = "parley"
type Colour = Literal["dim", "red", "yellow", "green", "bold"]
_COLOUR_CODES: dict[Colour, str] = {"dim": "2", "red": "31", "yellow": "33", "green": "32", "bold": "1"}


def command_as_typed(started_as: str | None = None, *, executable: str | None = None) -> str:
    """Return the command that starts `parley` in the developer's shell, such as `.venv/bin/parley`, quoted.

    A relative path is returned as typed. For a command found on PATH, the shell passes an absolute path, so the bare name is
    returned if PATH leads to the same file. If `parley` was started as a module, the result is the script beside the
    interpreter.
    """
    path = Path(started_as or sys.argv[0])
    if path.name != _COMMAND:
        path = Path(executable or sys.executable).with_name(_COMMAND)
    if path.is_absolute():
        path = Path(_COMMAND) if shutil.which(_COMMAND) == str(path) else _relative_to_here(path)
    return shlex.quote(str(path))


def _relative_to_here(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


class Console:
    """Prints whole lines, in colour if the output is a terminal and NO_COLOR (https://no-color.org) is not set."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._has_colour = self._out.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()

    def print(self, text: str = "", colour: Colour | None = None) -> None:
        """Print a line; ignore errors, because the stack must not stop when its terminal closes."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._out.write(self.paint(text, colour) + "\n")
            self._out.flush()

    def step(self, name: str, detail: str, seconds: float) -> None:
        """Print a line of progress."""
        self.print(f"  {name:<12}{detail:<52}{seconds:>6.1f} s", "dim")

    def paint(self, text: str, colour: Colour | None) -> str:
        return f"\x1b[{_COLOUR_CODES[colour]}m{text}\x1b[0m" if colour and self._has_colour else text
