"""A conversation from this side: which one it is, which model answers, and asking."""

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from urllib.parse import quote

from cli.answer import Answer
from cli.api import Api
from cli.connection import Call
from cli.consent import Consent
from cli.errors import CliError
from cli.fields import Fields

# The server sends a ping every 15 s at the latest; an answer in one piece may take as long as a Lambda function lives.
STREAM_SILENCE_S = 60.0
WHOLE_SILENCE_S = 900.0
NOTHING: Mapping[str, object] = MappingProxyType({})


class Dialogue:
    """Asks in one conversation; without an id the first question begins one, and the next ones go on in it.

    `documents` are those that answers come from: all, or the ids of some.
    """

    def __init__(
        self,
        api: Api,
        *,
        conversation_id: str | None = None,
        model: str | None = None,
        documents: bool | list[str] = False,
        consent: Consent | None = None,
    ) -> None:
        self.api = api
        self.conversation_id = conversation_id
        self.model = model
        self.documents = documents
        self.consent = consent or Consent()

    def ask(self, message: str, attached: Mapping[str, object] = NOTHING) -> None:
        """Ask and show the answer while it arrives, and ask the person where a tool needs it; Ctrl-C stops the turn and is raised on."""
        answer = Answer(self.api.url)
        try:
            self._show(answer, self._call(message, attached, stream=True))
            while asked := answer.take_asked():
                for call, word in [(call, self.consent.to(call)) for call in asked]:
                    self._show(answer, self._decision(answer.turn_id, call, word, stream=True))
        except KeyboardInterrupt:
            answer.end_line()
            self._stop(answer.turn_id)
            raise
        finally:
            answer.end_line()
            # Also after a failure: the question is kept, so the conversation is where to go on.
            self.conversation_id = answer.conversation_id or self.conversation_id

    def fetch(self, message: str, attached: Mapping[str, object] = NOTHING) -> object:
        """Ask and return the whole answer as the API gives it; one that waits if no word was given for its calls."""
        found = self.api.fetch(self._call(message, attached, stream=False))
        while self.consent.word is not None and (asked := Fields.of(found).parts("approvals")):
            turn_id = Fields.of(found).text("turn_id")
            for call in asked:
                found = self.api.fetch(self._decision(turn_id, call, self.consent.to(call), stream=False)) or found
        return found

    def _show(self, answer: Answer, call: Call) -> None:
        with self.api.stream(call) as events:
            for event in events:
                answer.show(event)

    def _decision(self, turn_id: str, call: Fields, word: bool, *, stream: bool) -> Call:
        body = {"call_id": call.text("call_id"), "approve": word, "stream": stream}
        path = f"/chat/turns/{quote(turn_id, safe='')}/approvals"
        return Call("POST", path, body, silence_s=STREAM_SILENCE_S if stream else WHOLE_SILENCE_S)

    def _call(self, message: str, attached: Mapping[str, object], *, stream: bool) -> Call:
        chosen: Mapping[str, object] = {
            "conversation_id": self.conversation_id,
            "model": self.model,
            "documents": self.documents,
            **attached,
        }
        body = {"message": message, "stream": stream} | {name: value for name, value in chosen.items() if value}
        return Call("POST", "/chat", body, silence_s=STREAM_SILENCE_S if stream else WHOLE_SILENCE_S)

    def _stop(self, turn_id: str) -> None:
        """Tell the server to stop as well: a client that only leaves lets the model write, and bill, to the end."""
        if not turn_id:
            return
        # The person wants out: where telling fails, the turn ends by itself.
        with suppress(CliError):
            self.api.fetch(Call("POST", f"/chat/turns/{quote(turn_id, safe='')}/stop", silence_s=2.0))
