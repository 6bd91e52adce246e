"""Questions to the user: a tool call pauses the turn with a form, and the answers resume it.

The answers to a call of `ask_user` are its result. A call of an MCP server's tool is repeated with the answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.chat.turn.tools import ParsedToolCall
from parley.db.turn.approvals import Approval
from parley.errors import InvalidInput
from parley.ids import new_id
from parley.tools.forms import Answer, Form, UnusableForm, form_of_model
from parley.tools.outcome import AskedForm, ToolOutcome

DECLINED_RESULT = "Not answered: the user declined to answer."


@dataclass(frozen=True, slots=True)
class UserQuestion:
    """A form that the user is asked to answer for a tool call. `id` identifies the question within the turn.

    For a form of an MCP server, `request` has what the server needs to continue, and `number` counts the questions of the call.
    """

    id: str
    call: ParsedToolCall
    form: Form
    request: Mapping[str, Any] | None = None
    number: int = 1

    def to_approval(self) -> Approval:
        """Return the question as it is stored with the turn's approvals."""
        question: dict[str, Any] = {"call_id": self.call.call_id, "form": self.form.model_dump(mode="json")}
        if self.request is not None:
            question |= {"request": dict(self.request), "number": self.number}
        return Approval(self.id, self.call.name, self.call.arguments, question=question)


def ask_or_answer(call: ParsedToolCall, stored: Approval | None) -> UserQuestion | ToolOutcome:
    """Return the question of a call of `ask_user`, or its result: the user's answers, or the reason why the user is not asked.

    `stored` is the question as it was asked before the turn's pause, None if it was not asked.
    """
    if stored and stored.question:
        if stored.answers is None:
            return ToolOutcome(False, DECLINED_RESULT)
        return ToolOutcome(True, Form.model_validate(stored.question["form"]).render(stored.answers))
    try:
        return UserQuestion(call.call_id, call, form_of_model(call.arguments))
    except UnusableForm as exc:
        return ToolOutcome(False, exc.public_message)


def server_question(call: ParsedToolCall, asked: AskedForm, earlier: Approval | None) -> UserQuestion:
    """Return the question of an MCP server; `earlier` is the last question of the same call. The form names the server.

    Raises ValidationError for a form that the tool runner cannot have returned.
    """
    form = Form.model_validate(dict(asked.form) | {"server": call.name.partition(".")[0]})
    number = earlier.question["number"] + 1 if earlier and earlier.question else 1
    return UserQuestion(f"question_{new_id().hex}", call, form, asked.request, number)


def checked_answers(approval: Approval, answers: Mapping[str, Answer | None] | None, *, is_approved: bool) -> dict[str, Any] | None:
    """Return the answers to store with a decision, None for an approval and for a question that the user declines.

    Raises InvalidInput if they do not fit the form, or if an approval is answered.
    """
    if approval.form is None:
        if answers is not None:
            raise InvalidInput("this call waits for an approval, not for answers", loc=("body", "call_id"))
        return None
    if not is_approved:
        return None
    if answers is None:
        raise InvalidInput("this question waits for answers, not for an approval", loc=("body", "call_id"))
    return Form.model_validate(approval.form).checked(answers)
