"""Messages in one conversation: send a message, show or fetch the answer, and decide pending tool calls."""

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

# The server sends a ping at least every 15 s; an unstreamed answer may take as long as a Lambda function may run.
STREAM_TIMEOUT_S = 60.0
WHOLE_ANSWER_TIMEOUT_S = 900.0
# The turn ends by itself even if the stop is lost, so Ctrl-C waits only briefly.
STOP_TIMEOUT_S = 2.0
NO_ATTACHMENTS: Mapping[str, object] = MappingProxyType({})


class ConversationClient:
    """Sends messages in one conversation. Without an id, the first message creates the conversation.

    `documents` selects the documents that answers may cite: True for all, a list of ids for some, False for none.
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

    def ask(self, message: str, attachments: Mapping[str, object] = NO_ATTACHMENTS) -> None:
        """Send a message, show the answer as it arrives, and prompt for each pending tool call.

        Ctrl-C stops the turn on the server and raises KeyboardInterrupt.
        """
        view = TurnView(self.api.url)
        try:
            self._show(view, self._message_call(message, attachments, stream=True))
            while pending := view.take_pending_calls():
                for call, decision in [(call, self.approval.approves(call)) for call in pending]:
                    self._show(view, self._decision_call(view.turn_id, call, decision, stream=True))
        except KeyboardInterrupt:
            view.end_line()
            self._stop(view.turn_id)
            raise
        finally:
            view.end_line()
            # A failed turn keeps its question, so the next message belongs to the same conversation.
            self.conversation_id = view.conversation_id or self.conversation_id

    def fetch(self, message: str, attachments: Mapping[str, object] = NO_ATTACHMENTS) -> object:
        """Send a message and return the API's whole answer.

        If the command line has neither --yes nor --no, the answer may be a turn that waits for approvals.
        """
        answer = self.api.fetch(self._message_call(message, attachments, stream=False))
        while self.approval.decision is not None and (pending := Fields.of(answer).parts("approvals")):
            turn_id = Fields.of(answer).text("turn_id")
            for call in pending:
                decision = self._decision_call(turn_id, call, self.approval.approves(call), stream=False)
                answer = self.api.fetch(decision) or answer
        return answer

    def _show(self, view: TurnView, call: HttpCall) -> None:
        with self.api.stream(call) as events:
            for event in events:
                view.show(event)

    def _decision_call(self, turn_id: str, call: Fields, approve: bool, *, stream: bool) -> HttpCall:
        body = {"call_id": call.text("call_id"), "approve": approve, "stream": stream}
        path = f"/chat/turns/{quote(turn_id, safe='')}/approvals"
        return HttpCall("POST", path, body, timeout_s=STREAM_TIMEOUT_S if stream else WHOLE_ANSWER_TIMEOUT_S)

    def _message_call(self, message: str, attachments: Mapping[str, object], *, stream: bool) -> HttpCall:
        options: Mapping[str, object] = {
            "conversation_id": self.conversation_id,
            "model": self.model,
            "documents": self.documents,
            **attachments,
        }
        body = {"message": message, "stream": stream} | {name: value for name, value in options.items() if value}
        return HttpCall("POST", "/chat", body, timeout_s=STREAM_TIMEOUT_S if stream else WHOLE_ANSWER_TIMEOUT_S)

    def _stop(self, turn_id: str) -> None:
        """Stop the turn on the server. If the client only disconnected, the model would continue to generate at the user's cost."""
        if not turn_id:
            return
        with suppress(CliError):
            self.api.fetch(HttpCall("POST", f"/chat/turns/{quote(turn_id, safe='')}/stop", timeout_s=STOP_TIMEOUT_S))
