"""`parley chat` without a message: a conversation until Ctrl-D, with line editing and a private history."""

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
except ImportError:  # Pythons without it still talk, only without editing
    readline = None  # type: ignore[assignment]


MAX_HISTORY_LINES = 1000


class LineInput:
    """Reads lines; each is appended to the history file (mode 600) at once, so that nothing is lost by a kill."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = (folder or config_dir()) / "history"

    def load_history(self) -> None:
        """Make the lines of earlier talks available to the arrow keys, and drop the oldest from the file."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return
        if len(lines) > 2 * MAX_HISTORY_LINES:
            write_private(self._path, "\n".join(lines[-MAX_HISTORY_LINES:]) + "\n")
        for each in lines[-MAX_HISTORY_LINES:] if readline else ():
            readline.add_history(each)

    def read(self, prompt: str) -> str:
        """Return the next line without blanks around it; raises EOFError at the end and KeyboardInterrupt."""
        typed = input(prompt).strip()
        if typed:
            self._append_to_history(typed)
        return typed

    def _append_to_history(self, typed: str) -> None:
        # A history is a comfort: without room for it the talk goes on.
        with (
            suppress(OSError, CliError),
            os.fdopen(open_private(self._path, os.O_WRONLY | os.O_APPEND), "w", encoding="utf-8", errors="replace") as file,
        ):
            file.write(" ".join(typed.splitlines()) + "\n")


HELP = """\
/new            begin a new conversation
/model NAME     ask this model from now on; without NAME, say which it is
/models         list the models
/documents ID   answer from this document, from several IDs, from `all` or from `none`; without, say which
/history        show this conversation
/help           show this
/quit           end, as Ctrl-D does; Ctrl-C stops an answer"""


class Repl:
    """Reads lines and asks them; lines of one word after a slash are commands."""

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
        """Talk until /quit or Ctrl-D; only a lost session ends it with an error."""
        self._lines.load_history()
        going_on = self.client.conversation_id
        click.secho(f"Conversation {going_on}" if going_on else f"New conversation at {self.client.api.url}", dim=True)
        click.secho("/help lists the commands, Ctrl-D ends.", dim=True)
        while (typed := self._next()) is not None:
            if typed:
                self._handle(typed)

    def _next(self) -> str | None:
        """Return the next line, the empty one after Ctrl-C, None at the end."""
        try:
            typed = self._lines.read("> ")
        except KeyboardInterrupt:
            click.echo()
            return ""
        except EOFError:
            click.echo()
            return None
        return None if typed == "/quit" else typed

    def _handle(self, typed: str) -> None:
        try:
            self._run(typed)
        except (NotLoggedIn, SessionEnded):
            raise
        except CliError as exc:
            exc.show()
        except KeyboardInterrupt:
            click.secho("stopped", dim=True, err=True)

    def _run(self, typed: str) -> None:
        command = re.fullmatch(r"/([a-z]+)(?:\s+(.*))?", typed)
        if command is None:
            self.client.ask(typed)
        elif command_function := self._commands.get(command[1]):
            command_function((command[2] or "").strip())
        else:
            raise CliError(f"There is no /{command[1]}. /help lists the commands.")

    def _new(self, _: str) -> None:
        self.client.conversation_id = None
        click.secho("New conversation", dim=True)

    def _model(self, name: str) -> None:
        if name:
            self._check(name)
            self.client.model = name
        click.secho(f"Model: {one_line(self.client.model or 'the default')}", dim=True)

    def _check(self, name: str) -> None:
        names = [model.text("id") for model in models.fetch_models(self.client.api)]
        if name not in names:
            raise CliError(f"There is no model {one_line(name)!r}. There are: {one_line(', '.join(names))}")

    def _documents(self, given: str) -> None:
        if given:
            words: dict[str, bool] = {"all": True, "none": False}
            self.client.documents = words[given] if given in words else find_document_ids(self.client.api, tuple(given.split()))
        chosen = self.client.documents or False
        told = ", ".join(map(short_id, chosen)) if isinstance(chosen, list) else "all" if chosen else "none"
        click.secho(f"Documents: {told}", dim=True)

    def _history(self, _: str) -> None:
        if self.client.conversation_id is None:
            raise CliError("Nothing was said yet.")
        conversations.show_history(self.client.api, self.client.conversation_id)
