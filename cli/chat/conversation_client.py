"""Messages in one conversation: send a message, show or fetch the answer, and decide pending tool calls."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import quote
from uuid import uuid4

import click

from cli.api import ApiClient, TurnEvent
from cli.chat.turn_stream import STREAM_TIMEOUT_S, TurnStream
from cli.chat.turn_view import TurnView
from cli.errors import ApiProblem, CliError
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.terminal_input import ApprovalPrompt

# An unstreamed answer may take as long as a Lambda function may run.
WHOLE_ANSWER_TIMEOUT_S = 900.0
# The turn ends by itself even if the stop is lost, so Ctrl-C waits only briefly.
STOP_TIMEOUT_S = 2.0
NO_ATTACHMENTS: Mapping[str, object] = MappingProxyType({})


@dataclass
class TurnOptions:
    """The user's choices for the next turns.

    `documents` selects the documents that answers may cite: True for all, a list of ids for some, False for none. `incognito`
    matters only for a new conversation.
    """

    model: str | None = None
    documents: bool | list[str] = False
    tools: bool = True
    temperature: float | None = None
    incognito: bool = False
    assistant_id: str | None = None

    def message_fields(self) -> dict[str, object]:
        """Return the fields of POST /chat that differ from their defaults, for a conversation that exists."""
        fields = self.regeneration_fields()
        if not self.tools:
            fields["tools"] = False
        if self.temperature is not None:
            fields["temperature"] = self.temperature
        if self.assistant_id:
            fields["assistant_id"] = self.assistant_id
        return fields

    def regeneration_fields(self) -> dict[str, object]:
        """Return the fields of POST /chat/regenerate that differ from their defaults."""
        given = {"model": self.model, "documents": self.documents}
        return {name: value for name, value in given.items() if value}


class ConversationClient:
    """Sends messages in one conversation. Without an id, the first message creates the conversation.

    `message_id` is the id of the last answer, empty before the first and after a turn without a complete answer.
    """

    def __init__(
        self,
        api: ApiClient,
        *,
        conversation_id: str | None = None,
        options: TurnOptions | None = None,
        approval: ApprovalPrompt | None = None,
        make_view: Callable[[str], TurnView] = TurnView,
    ) -> None:
        self.api = api
        self.conversation_id = conversation_id
        self.message_id = ""
        self.options = options or TurnOptions()
        self.approval = approval or ApprovalPrompt()
        self._make_view = make_view

    def ask(self, message: str, attachments: Mapping[str, object] = NO_ATTACHMENTS) -> None:
        """Send a message, show the answer as it arrives, and prompt for each pending tool call.

        A lost connection is made again, and the answer goes on where it stopped. Ctrl-C stops the turn on the server and raises
        KeyboardInterrupt.
        """
        self._show_turn(self._message_call(message, attachments, stream=True))

    def regenerate(self) -> None:
        """Answer the conversation's last question again, and show the new answer as `ask` does."""
        body = {"conversation_id": self.conversation_id, "stream": True} | _asking(stream=True) | self.options.regeneration_fields()
        self._show_turn(_call("/chat/regenerate", body, stream=True))

    def rate(self, rating: str, reason: str) -> None:
        """Rate the last answer `good` or `bad`, with a reason if it is not empty. Raises `CliError` if there is no answer yet."""
        if not self.message_id:
            raise CliError("There is no answer to rate yet.")
        body = {"rating": rating, "reason": reason or None}
        self.api.fetch(HttpCall("PUT", f"/messages/{quote(self.message_id, safe='')}/feedback", body))

    def fetch(self, message: str, attachments: Mapping[str, object] = NO_ATTACHMENTS) -> object:
        """Send a message and return the API's whole answer. Ctrl-C stops the turn on the server and raises KeyboardInterrupt.

        If the command line has neither --yes nor --no, the answer may be a turn that waits for approvals.
        """
        answer = self._fetch_whole(self._message_call(message, attachments, stream=False))
        while self.approval.decision is not None and (pending := Fields.of(answer).parts("approvals")):
            turn_id = Fields.of(answer).text("turn_id")
            for call in pending:
                decision = self._decision_call(turn_id, call, self.approval.approves(call), stream=False)
                answer = self._fetch_whole(decision, turn_id=turn_id) or answer
        return answer

    def _show_turn(self, call: HttpCall) -> None:
        stream, view = TurnStream(self.api), self._make_view(self.api.url)
        try:
            self._show(view, stream.events(call))
            while pending := view.take_pending_calls():
                approvals = [each for each in pending if "form" not in each]
                for pending_call, decision in [(each, self.approval.approves(each)) for each in approvals]:
                    self._show(view, stream.events(self._decision_call(stream.turn_id, pending_call, decision, stream=True)))
                for question in (each for each in pending if "form" in each):
                    self._answer(view, stream, question)
        except KeyboardInterrupt:
            view.close()
            self._stop(stream.turn_id)
            raise
        finally:
            view.close()
            # A failed turn keeps its question, so the next message belongs to the same conversation.
            self.conversation_id = view.conversation_id or self.conversation_id
            self.message_id = view.message_id

    def _show(self, view: TurnView, events: Iterator[TurnEvent]) -> None:
        for event in events:
            view.show(event)

    def _answer(self, view: TurnView, stream: TurnStream, question: Fields) -> None:
        """Ask the user the questions of a form, again while the server refuses an answer, and show the events that follow."""
        from cli.chat.form_prompt import prompt_answers

        while True:
            body = {"question_id": question.text("question_id"), "answers": prompt_answers(question.part("form")), "stream": True}
            path = f"/chat/turns/{quote(stream.turn_id, safe='')}/answers"
            try:
                return self._show(view, stream.events(replace(_call(path, body, stream=True), idempotency_key=None)))
            except ApiProblem as exc:
                if exc.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                    raise
                click.echo("\n".join([str(exc), *exc.details]), err=True)

    def _decision_call(self, turn_id: str, call: Fields, approve: bool, *, stream: bool) -> HttpCall:
        body = {"call_id": call.text("call_id"), "approve": approve, "stream": stream}
        return replace(_call(f"/chat/turns/{quote(turn_id, safe='')}/approvals", body, stream=stream), idempotency_key=None)

    def _message_call(self, message: str, attachments: Mapping[str, object], *, stream: bool) -> HttpCall:
        options: dict[str, object] = {"incognito": True} if self.options.incognito else {}
        if self.conversation_id:
            options = {"conversation_id": self.conversation_id}
        body = {"message": message, "stream": stream, **options, **_asking(stream=stream), **self.options.message_fields(), **attachments}
        return _call("/chat", body, stream=stream)

    def _fetch_whole(self, call: HttpCall, *, turn_id: str = "") -> object:
        try:
            return self.api.fetch(call)
        except KeyboardInterrupt:
            self._stop(turn_id or self._running_turn_id(call))
            raise

    def _running_turn_id(self, call: HttpCall) -> str:
        """Return the id of the turn that a call has started: the server names it if the call is repeated while the turn runs."""
        try:
            self.api.fetch(replace(call, timeout_s=STOP_TIMEOUT_S))
        except ApiProblem as exc:
            return exc.problem.text("turn_id")
        except CliError:
            pass
        return ""

    def _stop(self, turn_id: str) -> None:
        """Stop the turn on the server. If the client only disconnected, the model would continue to generate at the user's cost."""
        if not turn_id:
            return
        with suppress(CliError):
            self.api.fetch(HttpCall("POST", f"/chat/turns/{quote(turn_id, safe='')}/stop", timeout_s=STOP_TIMEOUT_S))


def _asking(*, stream: bool) -> dict[str, object]:
    """Return the field by which the model may ask the user: only if somebody at a terminal can answer."""
    return {"questions": True} if stream and sys.stdin.isatty() else {}


def _call(path: str, body: Mapping[str, object], *, stream: bool) -> HttpCall:
    timeout_s = STREAM_TIMEOUT_S if stream else WHOLE_ANSWER_TIMEOUT_S
    return HttpCall("POST", path, body, timeout_s=timeout_s, idempotency_key=str(uuid4()))
