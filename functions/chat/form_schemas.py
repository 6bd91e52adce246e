"""Request and response models of the forms in which a turn asks its user."""

from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat

from parley.db.turn.approvals import Approval
from parley.http.schemas import Input, Output
from parley.tools.ask_user import MAX_ANSWER_CHARACTERS, MAX_FIELD_OPTIONS, MAX_FIELDS, MAX_OPTION_TEXT

type AnswerIn = (
    Annotated[str, Field(max_length=MAX_ANSWER_CHARACTERS)]
    | bool
    | Annotated[int, Field(ge=-(2**53), le=2**53)]
    | FiniteFloat
    | Annotated[list[Annotated[str, Field(max_length=MAX_OPTION_TEXT)]], Field(max_length=MAX_FIELD_OPTIONS)]
)
type FormAnswersIn = Annotated[dict[Annotated[str, Field(max_length=100)], AnswerIn | None], Field(max_length=MAX_FIELDS)]


class AnswersIn(Input):
    """The body of POST /chat/turns/{id}/answers. `answers` maps the ids of the form's fields to answers; null declines the question."""

    question_id: Annotated[str, Field(min_length=1, max_length=1000, examples=["call_2"])]
    answers: Annotated[FormAnswersIn | None, Field(examples=[{"1": "Lyon"}])]
    stream: bool = True


class FormOptionOut(Output):
    """An option of a form's field: the value to send as the answer, and the text to show."""

    value: str
    label: str


class FormFieldOut(Output):
    """A field of a form.

    The answer to a `choice` is the value of an option, to `multiple` a list of them. `minimum` and `maximum` bound a number, `min_length`
    and `max_length` the characters of a text or how many options are chosen.
    """

    id: str
    text: str
    kind: Literal["choice", "multiple", "text", "number", "boolean"]
    options: list[FormOptionOut]
    required: bool
    is_integer: bool
    minimum: float | None
    maximum: float | None
    min_length: int | None
    max_length: int | None
    format: Literal["date", "date-time", "email", "uri"] | None
    default: str | bool | float | list[str] | None


class FormOut(Output):
    """A form for the user. `server` is the name of the MCP server that asks; null if the model asks."""

    server: str | None
    message: str
    fields: list[FormFieldOut]


class PendingQuestionOut(Output):
    """A question that a tool call asks the user."""

    question_id: str
    call_id: str
    name: str
    form: FormOut


class QuestionOut(PendingQuestionOut):
    """A question that was asked. `is_answered` is null until the user answers or declines; `answers` is null unless they answered."""

    is_answered: bool | None
    answers: dict[str, str | bool | float | list[str]] | None

    @classmethod
    def of(cls, approval: Approval) -> Self:
        """Convert a stored question."""
        question = approval.question or {}
        return cls(
            question_id=approval.call_id,
            call_id=question["call_id"],
            name=approval.name,
            form=FormOut.model_validate(question["form"]),
            is_answered=approval.is_approved,
            answers=None if approval.answers is None else dict(approval.answers),
        )
