"""Interactive `parley chat`: sends input lines as messages until Ctrl-D, with line editing and a private history file."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from cli.commands import conversations, models
from cli.config_dir import config_dir, open_private, write_private
from cli.conversation_client import ConversationClient
from cli.document_api import find_document_ids
from cli.errors import CliError, NotLoggedIn, SessionEnded
from cli.listing import short_id
from cli.output import one_line

try:
    import readline
except ImportError:  # without it, the chat works but has no line editing
    readline = None  # type: ignore[assignment]

MAX_HISTORY_LINES = 1000
HELP = """\
/new            start a new conversation
/model NAME     use this model from now on; without NAME, show the current model
/models         list the models
/documents ID   answer from these documents: one or more IDs, `all` or `none`; without ID, show the current choice
/history        show this conversation
/help           show this help
/quit           exit, like Ctrl-D; Ctrl-C stops an answer"""


class LineInput:
    """Reads input lines. Each line is appended to the history file (mode 600) immediately, so none is lost if the process is killed."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = (folder or config_dir()) / "history"

    def load_history(self) -> None:
        """Make the lines of earlier chats available to the arrow keys. Trim the file if it exceeds twice the limit."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return
        if len(lines) > 2 * MAX_HISTORY_LINES:
            write_private(self._path, "\n".join(lines[-MAX_HISTORY_LINES:]) + "\n")
        for line in lines[-MAX_HISTORY_LINES:] if readline else ():
            readline.add_history(line)

    def read(self, prompt: str) -> str:
        """Return the next line, stripped. Raises EOFError at the end of input and KeyboardInterrupt on Ctrl-C."""
        line = input(prompt).strip()
        if line:
            self._append_to_history(line)
        return line

    def _append_to_history(self, line: str) -> None:
        # The history is a convenience: the chat continues if it cannot be written.
        with (
            suppress(OSError, CliError),
            os.fdopen(open_private(self._path, os.O_WRONLY | os.O_APPEND), "w", encoding="utf-8", errors="replace") as file,
        ):
            file.write(" ".join(line.splitlines()) + "\n")


class Repl:
    """Sends each input line as a message; a line like `/model NAME` is a command."""

    def __init__(self, client: ConversationClient, lines: LineInput | None = None) -> None:
        self.client = client
        self._lines = lines or LineInput()
        self._commands: dict[str, Callable[[str], None]] = {
            "new": self._new,
            "model": self._model,
            "models": lambda _: models.show_models(client.api),
            "documents": self._documents,
            "history": self._history,
            "help": lambda _: click.echo(HELP),
        }

    def run(self) -> None:
        """Chat until /quit or Ctrl-D. Errors are printed, except a missing or ended session, which is raised."""
        self._lines.load_history()
        conversation_id = self.client.conversation_id
        click.secho(f"Conversation {conversation_id}" if conversation_id else f"New conversation at {self.client.api.url}", dim=True)
        click.secho("/help lists the commands, Ctrl-D exits.", dim=True)
        while (line := self._next()) is not None:
            if line:
                self._handle(line)

    def _next(self) -> str | None:
        """Return the next line, an empty string after Ctrl-C, or None at the end of input."""
        try:
            line = self._lines.read("> ")
        except KeyboardInterrupt:
            click.echo()
            return ""
        except EOFError:
            click.echo()
            return None
        return None if line == "/quit" else line

    def _handle(self, line: str) -> None:
        try:
            self._run_line(line)
        except (NotLoggedIn, SessionEnded):
            raise
        except CliError as exc:
            exc.show()
        except KeyboardInterrupt:
            click.secho("stopped", dim=True, err=True)

    def _run_line(self, line: str) -> None:
        command = re.fullmatch(r"/([a-z]+)(?:\s+(.*))?", line)
        if command is None:
            self.client.ask(line)
        elif command_function := self._commands.get(command[1]):
            command_function((command[2] or "").strip())
        else:
            raise CliError(f"Unknown command /{command[1]}. /help lists the commands.")

    def _new(self, _: str) -> None:
        self.client.conversation_id = None
        click.secho("New conversation", dim=True)

    def _model(self, name: str) -> None:
        if name:
            self._require_model(name)
            self.client.model = name
        click.secho(f"Model: {one_line(self.client.model or 'the default')}", dim=True)

    def _require_model(self, name: str) -> None:
        names = [model.text("id") for model in models.fetch_models(self.client.api)]
        if name not in names:
            raise CliError(f"There is no model {one_line(name)!r}. Available models: {one_line(', '.join(names))}")

    def _documents(self, given: str) -> None:
        if given:
            keywords: dict[str, bool] = {"all": True, "none": False}
            self.client.documents = keywords[given] if given in keywords else find_document_ids(self.client.api, tuple(given.split()))
        chosen = self.client.documents or False
        shown = ", ".join(map(short_id, chosen)) if isinstance(chosen, list) else "all" if chosen else "none"
        click.secho(f"Documents: {shown}", dim=True)

    def _history(self, _: str) -> None:
        if self.client.conversation_id is None:
            raise CliError("This conversation has no messages yet.")
        conversations.show_history(self.client.api, self.client.conversation_id)
