"""The client's side of a conversation: which conversation it is, which model answers, and sending messages."""

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from urllib.parse import quote

from cli.api import ApiClient
from cli.errors import CliError
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.prompts import ApprovalPrompt
from cli.turn_view import TurnView

# The server sends a ping every 15 s at the latest; an answer in one piece may take as long as a Lambda function lives.
STREAM_TIMEOUT_S = 60.0
WHOLE_ANSWER_TIMEOUT_S = 900.0
NO_ATTACHMENTS: Mapping[str, object] = MappingProxyType({})


class ConversationClient:
    """Asks in one conversation; without an id the first question begins one, and the next ones go on in it.

    `documents` are those that answers come from: all, or the ids of some.
    """

    def __init__(
        self,
        api: ApiClient,
        *,
        conversation_id: str | None = None,
        model: str | None = None,
        documents: bool | list[str] = False,
        approval: ApprovalPrompt | None = None,
    ) -> None:
        self.api = api
        self.conversation_id = conversation_id
        self.model = model
        self.documents = documents
        self.approval = approval or ApprovalPrompt()

    def ask(self, message: str, attached: Mapping[str, object] = NO_ATTACHMENTS) -> None:
        """Ask and show the answer while it arrives, and ask the person where a tool needs it; Ctrl-C stops the turn and is raised on."""
        view = TurnView(self.api.url)
        try:
            self._show(view, self._call(message, attached, stream=True))
            while pending := view.take_pending_calls():
                for call, decision in [(call, self.approval.approves(call)) for call in pending]:
                    self._show(view, self._decision(view.turn_id, call, decision, stream=True))
        except KeyboardInterrupt:
            view.end_line()
            self._stop(view.turn_id)
            raise
        finally:
            view.end_line()
            # Also after a failure: the question is kept, so the conversation is where to go on.
            self.conversation_id = view.conversation_id or self.conversation_id

    def fetch(self, message: str, attached: Mapping[str, object] = NO_ATTACHMENTS) -> object:
        """Ask and return the whole answer as the API gives it; one that waits if no word was given for its calls."""
        found = self.api.fetch(self._call(message, attached, stream=False))
        while self.approval.decision is not None and (pending := Fields.of(found).parts("approvals")):
            turn_id = Fields.of(found).text("turn_id")
            for call in pending:
                found = self.api.fetch(self._decision(turn_id, call, self.approval.approves(call), stream=False)) or found
        return found

    def _show(self, view: TurnView, call: HttpCall) -> None:
        with self.api.stream(call) as events:
            for event in events:
                view.show(event)

    def _decision(self, turn_id: str, call: Fields, decision: bool, *, stream: bool) -> HttpCall:
        body = {"call_id": call.text("call_id"), "approve": decision, "stream": stream}
        path = f"/chat/turns/{quote(turn_id, safe='')}/approvals"
        return HttpCall("POST", path, body, timeout_s=STREAM_TIMEOUT_S if stream else WHOLE_ANSWER_TIMEOUT_S)

    def _call(self, message: str, attached: Mapping[str, object], *, stream: bool) -> HttpCall:
        chosen: Mapping[str, object] = {
            "conversation_id": self.conversation_id,
            "model": self.model,
            "documents": self.documents,
            **attached,
        }
        body = {"message": message, "stream": stream} | {name: value for name, value in chosen.items() if value}
        return HttpCall("POST", "/chat", body, timeout_s=STREAM_TIMEOUT_S if stream else WHOLE_ANSWER_TIMEOUT_S)

    def _stop(self, turn_id: str) -> None:
        """Tell the server to stop as well: a client that only leaves lets the model write, and bill, to the end."""
        if not turn_id:
            return
        # The person wants out: where telling fails, the turn ends by itself.
        with suppress(CliError):
            self.api.fetch(HttpCall("POST", f"/chat/turns/{quote(turn_id, safe='')}/stop", timeout_s=2.0))
