"""A conversation from this side: which one it is, which model answers, and asking."""

from contextlib import suppress
from urllib.parse import quote

from cli.answer import Answer
from cli.api import Api
from cli.connection import Call
from cli.errors import CliError

# The server sends a ping every 15 s at the latest; an answer in one piece may take as long as a Lambda function lives.
STREAM_SILENCE_S = 60.0
WHOLE_SILENCE_S = 900.0


class Dialogue:
    """Asks in one conversation; without an id the first question begins one, and the next ones go on in it."""

    def __init__(self, api: Api, *, conversation_id: str | None = None, model: str | None = None) -> None:
        self.api = api
        self.conversation_id = conversation_id
        self.model = model

    def ask(self, message: str) -> None:
        """Ask and show the answer while it arrives; Ctrl-C stops the turn and is raised on."""
        answer = Answer(self.api.url)
        try:
            self._show(answer, message)
        except KeyboardInterrupt:
            answer.end_line()
            self._stop(answer.turn_id)
            raise
        finally:
            answer.end_line()
            # Also after a failure: the question is kept, so the conversation is where to go on.
            self.conversation_id = answer.conversation_id or self.conversation_id

    def fetch(self, message: str) -> object:
        """Ask and return the whole answer as the API gives it."""
        return self.api.fetch(self._call(message, stream=False))

    def _show(self, answer: Answer, message: str) -> None:
        with self.api.stream(self._call(message, stream=True)) as events:
            for event in events:
                answer.show(event)

    def _call(self, message: str, *, stream: bool) -> Call:
        chosen = {"conversation_id": self.conversation_id, "model": self.model}
        body = {"message": message, "stream": stream} | {name: value for name, value in chosen.items() if value}
        return Call("POST", "/chat", body, silence_s=STREAM_SILENCE_S if stream else WHOLE_SILENCE_S)

    def _stop(self, turn_id: str) -> None:
        """Tell the server to stop as well: a client that only leaves lets the model write, and bill, to the end."""
        if not turn_id:
            return
        # The person wants out: where telling fails, the turn ends by itself.
        with suppress(CliError):
            self.api.fetch(Call("POST", f"/chat/turns/{quote(turn_id, safe='')}/stop", silence_s=2.0))
