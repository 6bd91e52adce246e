"""Lines typed at the prompt: editing through readline, and a private history of them."""

import os
from contextlib import suppress
from pathlib import Path

from cli.errors import CliError
from cli.folder import config_folder, open_private, write_private

try:
    import readline
except ImportError:  # Pythons without it still talk, only without editing
    readline = None  # type: ignore[assignment]

KEPT = 1000


class InputLines:
    """Reads lines; each is appended to the history file (mode 600) at once, so that nothing is lost by a kill."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = (folder or config_folder()) / "history"

    def recall(self) -> None:
        """Make the lines of earlier talks available to the arrow keys, and drop the oldest from the file."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return
        if len(lines) > 2 * KEPT:
            write_private(self._path, "\n".join(lines[-KEPT:]) + "\n")
        for each in lines[-KEPT:] if readline else ():
            readline.add_history(each)

    def read(self, prompt: str) -> str:
        """Return the next line without blanks around it; raises EOFError at the end and KeyboardInterrupt."""
        typed = input(prompt).strip()
        if typed:
            self._keep(typed)
        return typed

    def _keep(self, typed: str) -> None:
        # A history is a comfort: without room for it the talk goes on.
        with (
            suppress(OSError, CliError),
            os.fdopen(open_private(self._path, os.O_WRONLY | os.O_APPEND), "w", encoding="utf-8", errors="replace") as file,
        ):
            file.write(" ".join(typed.splitlines()) + "\n")
