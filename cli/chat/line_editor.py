"""The input of the interactive chat: several lines, pasted text as one message, and a private history that can be searched."""

import os
from contextlib import suppress
from pathlib import Path
from typing import override

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.filters import is_searching
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from cli.config_dir import config_dir, open_private, write_private
from cli.errors import CliError

MAX_HISTORY_ENTRIES = 1000
MAX_HISTORY_BYTES = 1_000_000


class PrivateHistory(FileHistory):
    """Earlier messages in a file of mode 600. Each is stored at once, so none is lost if the process is killed."""

    def __init__(self, folder: Path | None = None) -> None:
        path = (folder or config_dir()) / "history"
        super().__init__(str(path))
        self._path = path
        with suppress(OSError, CliError):
            self._shorten()

    @override
    def store_string(self, string: str) -> None:
        """Append a message. The chat continues if the file cannot be written."""
        with suppress(OSError, CliError):
            os.close(open_private(self._path, os.O_WRONLY))
            super().store_string(string)

    def _shorten(self) -> None:
        """Keep the latest messages of a file that has grown too long."""
        if self._path.exists() and self._path.stat().st_size > MAX_HISTORY_BYTES:
            latest = list(self.load_history_strings())[:MAX_HISTORY_ENTRIES]
            write_private(self._path, "")
            for entry in reversed(latest):
                super().store_string(entry)


class LineEditor:
    """Reads messages at the terminal. Enter sends, Alt-Enter or a backslash at the end of a line begins a new one."""

    def __init__(self, commands: list[str], *, history: PrivateHistory | None = None) -> None:
        self._session: PromptSession[str] = PromptSession(
            history=history or PrivateHistory(),
            multiline=True,
            key_bindings=_key_bindings(),
            auto_suggest=AutoSuggestFromHistory(),
            completer=WordCompleter(commands, sentence=True),
            complete_while_typing=False,
            prompt_continuation=lambda width, _line, _wrap: FormattedText([("class:continuation", "." * (width - 1) + " ")]),
        )

    def read(self, prompt: str) -> str:
        """Return the next message, stripped. Raises EOFError at Ctrl-D and KeyboardInterrupt at Ctrl-C."""
        return self._session.prompt(prompt).strip()


def _key_bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter", filter=~is_searching)
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None
        elif buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    return bindings
