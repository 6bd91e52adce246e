"""`parley chat` without a message: talking until Ctrl-D."""

import re
from collections.abc import Callable

import click

from cli import conversations, models
from cli.dialogue import Dialogue
from cli.document import find_ids
from cli.errors import CliError, NotLoggedIn, SessionEnded
from cli.inputlines import InputLines
from cli.short_ids import short
from cli.terminal import line

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

    def __init__(self, dialogue: Dialogue, lines: InputLines | None = None) -> None:
        self.dialogue = dialogue
        self._lines = lines or InputLines()
        self._commands: dict[str, Callable[[str], None]] = {
            "new": self._new,
            "model": self._model,
            "models": lambda _: models.show(dialogue.api),
            "documents": self._documents,
            "history": self._history,
            "help": lambda _: click.echo(HELP),
        }

    def run(self) -> None:
        """Talk until /quit or Ctrl-D; only a lost session ends it with an error."""
        self._lines.recall()
        going_on = self.dialogue.conversation_id
        click.secho(f"Conversation {going_on}" if going_on else f"New conversation at {self.dialogue.api.url}", dim=True)
        click.secho("/help lists the commands, Ctrl-D ends.", dim=True)
        while (typed := self._next()) is not None:
            if typed:
                self._take(typed)

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

    def _take(self, typed: str) -> None:
        try:
            self._obey(typed)
        except (NotLoggedIn, SessionEnded):
            raise
        except CliError as exc:
            exc.show()
        except KeyboardInterrupt:
            click.secho("stopped", dim=True, err=True)

    def _obey(self, typed: str) -> None:
        command = re.fullmatch(r"/([a-z]+)(?:\s+(.*))?", typed)
        if command is None:
            self.dialogue.ask(typed)
        elif obeyed := self._commands.get(command[1]):
            obeyed((command[2] or "").strip())
        else:
            raise CliError(f"There is no /{command[1]}. /help lists the commands.")

    def _new(self, _: str) -> None:
        self.dialogue.conversation_id = None
        click.secho("New conversation", dim=True)

    def _model(self, name: str) -> None:
        if name:
            self._check(name)
            self.dialogue.model = name
        click.secho(f"Model: {line(self.dialogue.model or 'the default')}", dim=True)

    def _check(self, name: str) -> None:
        names = [model.text("id") for model in models.catalogue(self.dialogue.api)]
        if name not in names:
            raise CliError(f"There is no model {line(name)!r}. There are: {line(', '.join(names))}")

    def _documents(self, given: str) -> None:
        if given:
            words: dict[str, bool] = {"all": True, "none": False}
            self.dialogue.documents = words[given] if given in words else find_ids(self.dialogue.api, tuple(given.split()))
        chosen = self.dialogue.documents or False
        told = ", ".join(map(short, chosen)) if isinstance(chosen, list) else "all" if chosen else "none"
        click.secho(f"Documents: {told}", dim=True)

    def _history(self, _: str) -> None:
        if self.dialogue.conversation_id is None:
            raise CliError("Nothing was said yet.")
        conversations.show(self.dialogue.api, self.dialogue.conversation_id)
