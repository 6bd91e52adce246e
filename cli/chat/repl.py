"""Interactive `parley chat`: sends messages until Ctrl-D."""

import re
from collections.abc import Callable
from functools import partial

import click

from cli.chat.conversation_client import ConversationClient
from cli.chat.line_editor import LineEditor
from cli.commands import conversations, models
from cli.document_api import find_document_ids
from cli.errors import CliError, NotLoggedIn, SessionEnded
from cli.listing import short_id
from cli.output import one_line, plain_text

HELP = """\
/new            start a new conversation
/model NAME     use this model from now on; without NAME, show the current model
/models         list the models
/documents ID   answer from these documents: one or more IDs, `all` or `none`; without ID, show the current choice
/history        show this conversation
/regenerate     answer the last question again
/good, /bad     rate the last answer; a reason may follow, for the server's admins
/edit           write the next message in your editor ($VISUAL or $EDITOR)
/help           show this help
/quit           exit, like Ctrl-D; Ctrl-C stops an answer

Alt-Enter, or \\ before Enter, begins a new line; pasted lines are one message; Ctrl-R searches earlier messages."""


class Repl:
    """Sends each message; a line like `/model NAME` is a command."""

    def __init__(self, client: ConversationClient) -> None:
        self.client = client
        self._commands: dict[str, Callable[[str], None]] = {
            "new": self._new,
            "model": self._model,
            "models": lambda _: models.show_models(client.api),
            "documents": self._documents,
            "history": self._history,
            "regenerate": self._regenerate,
            "good": partial(self._rate, "good"),
            "bad": partial(self._rate, "bad"),
            "edit": self._edit,
            "help": lambda _: click.echo(HELP),
        }
        self._editor = LineEditor([f"/{name}" for name in (*self._commands, "quit")])

    def run(self) -> None:
        """Chat until /quit or Ctrl-D. Errors are printed, except a missing or ended session, which is raised."""
        conversation_id = self.client.conversation_id
        click.secho(f"Conversation {conversation_id}" if conversation_id else f"New conversation at {self.client.api.url}", dim=True)
        click.secho("/help lists the commands, Ctrl-D exits.", dim=True)
        while (line := self._next()) is not None:
            if line:
                self._handle(line)

    def _next(self) -> str | None:
        """Return the next line, an empty string after Ctrl-C, or None at the end of input."""
        try:
            line = self._editor.read("> ")
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
            self.client.options.model = name
        click.secho(f"Model: {one_line(self.client.options.model or 'the default')}", dim=True)

    def _require_model(self, name: str) -> None:
        names = [model.text("id") for model in models.fetch_models(self.client.api)]
        if name not in names:
            raise CliError(f"There is no model {one_line(name)!r}. Available models: {one_line(', '.join(names))}")

    def _documents(self, given: str) -> None:
        if given:
            keywords: dict[str, bool] = {"all": True, "none": False}
            self.client.options.documents = (
                keywords[given] if given in keywords else find_document_ids(self.client.api, tuple(given.split()))
            )
        chosen = self.client.options.documents or False
        shown = ", ".join(map(short_id, chosen)) if isinstance(chosen, list) else "all" if chosen else "none"
        click.secho(f"Documents: {shown}", dim=True)

    def _regenerate(self, _: str) -> None:
        self._require_conversation()
        self.client.regenerate()

    def _rate(self, rating: str, reason: str) -> None:
        self.client.rate(rating, reason)
        click.secho("Thank you for the feedback.", dim=True)

    def _edit(self, text: str) -> None:
        message = click.edit(text, extension=".md", require_save=True)
        if message and message.strip():
            click.secho(plain_text(message.strip()), dim=True)
            self.client.ask(message.strip())
        else:
            click.secho("Nothing was written, so nothing is sent.", dim=True)

    def _history(self, _: str) -> None:
        conversations.show_history(self.client.api, self._require_conversation())

    def _require_conversation(self) -> str:
        """Return the conversation's id. Raises `CliError` if it has no messages yet."""
        if self.client.conversation_id is None:
            raise CliError("This conversation has no messages yet.")
        return self.client.conversation_id
