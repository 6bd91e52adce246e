"""Forms: questions to the user with typed answers, from the model or from an MCP server, and the check of the answers.

The author of a form may be a stranger. So texts and numbers of fields are bounded, and a form that asks for a secret is refused: the Model
Context Protocol forbids such forms, and no answer of a form is kept from the model.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from parley.errors import InvalidInput, ParleyError
from parley.tools.ask_user import (
    MAX_ANSWER_CHARACTERS,
    MAX_FIELD_OPTIONS,
    MAX_FIELDS,
    MAX_OPTION_TEXT,
    MAX_OPTIONS,
    MAX_QUESTIONS,
    MAX_TEXT,
)

_MAX_REASON = 300
_SECRET = re.compile(
    r"\b(passwords?|passphrase|passcode|api[ _-]?keys?|access[ _-]?tokens?|private[ _-]?keys?|secret[ _-]?keys?|seed[ _-]?phrase"
    r"|recovery[ _-]?codes?|one[ _-]time[ _-](codes?|passwords?)|security[ _-]code|cvv|cvc|card[ _-]number)\b",
    re.IGNORECASE,
)

type Answer = str | bool | int | float | list[str]
type FieldKind = Literal["choice", "multiple", "text", "number", "boolean"]
type TextFormat = Literal["date", "date-time", "email", "uri"]


class UnusableForm(ParleyError):
    """The form cannot be shown to the user. `public_message` tells the model why."""

    code = "unusable_form"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.public_message = reason


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class FormOption(_Model):
    """An option of a field: the value that is sent as the answer, and the text that the user sees."""

    value: Annotated[str, Field(max_length=MAX_OPTION_TEXT)]
    label: Annotated[str, Field(min_length=1, max_length=MAX_OPTION_TEXT)]


class FormField(_Model):
    """A question of a form.

    `minimum` and `maximum` bound a number, and `min_length` and `max_length` the characters of a text or how many options are chosen.
    """

    id: Annotated[str, Field(min_length=1, max_length=100)]
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
    kind: FieldKind
    options: Annotated[tuple[FormOption, ...], Field(max_length=MAX_FIELD_OPTIONS)] = ()
    required: bool = True
    is_integer: bool = False
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    format: TextFormat | None = None
    default: Answer | None = None

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        values = [option.value for option in self.options]
        if self.kind in ("choice", "multiple") and (not values or len(set(values)) < len(values)):
            raise ValueError("the options must be given, and differ")
        if self.kind not in ("choice", "multiple") and values:
            raise ValueError(f"the kind {self.kind} takes no options")
        if _SECRET.search(f"{self.id} {self.text}"):
            raise ValueError("a form must not ask for passwords or other secrets")
        if self.default is not None and self.error_in(self.default):
            raise ValueError("the default does not fit the field")
        return self

    def error_in(self, answer: Answer) -> str | None:
        """Return what is wrong with the answer, None if it fits the field."""
        match self.kind:
            case "boolean":
                return None if isinstance(answer, bool) else "must be true or false"
            case "number":
                return self._number_error(answer)
            case "text":
                return self._text_error(answer)
            case "choice":
                is_option = isinstance(answer, str) and answer in self._values
                return None if is_option else "must be one of the options"
            case "multiple":
                return self._options_error(answer)

    @property
    def _values(self) -> set[str]:
        return {option.value for option in self.options}

    def _number_error(self, answer: Answer) -> str | None:
        if isinstance(answer, bool) or not isinstance(answer, int | float) or not math.isfinite(answer):
            return "must be a number"
        if self.is_integer and answer != int(answer):
            return "must be a whole number"
        if self.minimum is not None and answer < self.minimum:
            return f"must be at least {self.minimum:g}"
        if self.maximum is not None and answer > self.maximum:
            return f"must be at most {self.maximum:g}"
        return None

    def _text_error(self, answer: Answer) -> str | None:
        if not isinstance(answer, str):
            return "must be text"
        if self.required and not answer.strip():
            return "must not be empty"
        if len(answer) > (limit := min(self.max_length or MAX_ANSWER_CHARACTERS, MAX_ANSWER_CHARACTERS)):
            return f"must have at most {limit} characters"
        if len(answer) < (self.min_length or 0):
            return f"must have at least {self.min_length} characters"
        return None if self.format is None or _has_format(answer, self.format) else f"must have the format {self.format}"

    def _options_error(self, answer: Answer) -> str | None:
        if not isinstance(answer, list) or not self._values.issuperset(answer) or len(set(answer)) < len(answer):
            return "must be a list of different options"
        if len(answer) < (self.min_length or (1 if self.required else 0)):
            return f"must have at least {self.min_length or 1} options"
        if self.max_length is not None and len(answer) > self.max_length:
            return f"must have at most {self.max_length} options"
        return None


class Form(_Model):
    """Questions to the user. `server` is the name of the MCP server that asks, None if the model asks; `message` is its own text."""

    server: Annotated[str, Field(max_length=100)] | None = None
    message: Annotated[str, Field(max_length=2_000)] = ""
    fields: Annotated[tuple[FormField, ...], Field(min_length=1, max_length=MAX_FIELDS)]

    def checked(self, answers: Mapping[str, Answer | None]) -> dict[str, Answer]:
        """Return the given answers, without those that are null. Raises InvalidInput for the first that does not fit its field."""
        known = {field.id: field for field in self.fields}
        if any(id not in known for id in answers):
            raise InvalidInput("the form has no such field", loc=("body", "answers"))
        for number, field in enumerate(self.fields, 1):
            answer = answers.get(field.id)
            error = field.error_in(answer) if answer is not None else "must be answered" if field.required else None
            if error:
                raise InvalidInput(f"answer {number} {error}", loc=("body", "answers", field.id), evidence=f"answer {number}")
        return {id: answer for id, answer in answers.items() if answer is not None}

    def render(self, answers: Mapping[str, Answer]) -> str:
        """Return the answers, with their questions, as the result that the model receives."""
        answered = [{"question": field.text, "answer": answers.get(field.id)} for field in self.fields]
        return json.dumps({"answers": answered}, ensure_ascii=False)


def form_of_server(message: str, schema: Mapping[str, Any]) -> Form:
    """Return the form of an MCP server's elicitation: its message, and a field for each property of its schema. Raises UnusableForm.

    The schemas are those of https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation: flat objects of texts, numbers,
    booleans and choices.
    """
    properties, required = schema.get("properties"), schema.get("required") or ()
    if not isinstance(properties, Mapping) or not isinstance(required, list | tuple) or len(properties) > MAX_FIELDS:
        raise UnusableForm(f"the form has no fields, or more than {MAX_FIELDS}")
    try:
        fields = tuple(_server_field(id, described, is_required=id in required) for id, described in properties.items())
        return Form(message=message, fields=fields)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        reason = _reason(exc) if isinstance(exc, ValidationError) else "a field has an unknown schema"
        raise UnusableForm(reason) from exc


def _server_field(id: str, schema: Mapping[str, Any], *, is_required: bool) -> FormField:
    text = " – ".join(str(schema[name]) for name in ("title", "description") if schema.get(name)) or id
    field: dict[str, Any] = {"id": id, "text": text, "required": is_required, "default": schema.get("default")}
    match schema.get("type"):
        case "boolean":
            return FormField(**field, kind="boolean")
        case "number" | "integer" as type:
            bounds: dict[str, Any] = {name: schema.get(name) for name in ("minimum", "maximum")}
            return FormField(**field, **bounds, kind="number", is_integer=type == "integer")
        case "array":
            options = _server_options(schema["items"], titled_by="anyOf")
            return FormField(
                **field, kind="multiple", options=options, min_length=schema.get("minItems"), max_length=schema.get("maxItems")
            )
        case "string" if "enum" in schema or "oneOf" in schema:
            return FormField(**field, kind="choice", options=_server_options(schema, titled_by="oneOf"))
        case "string":
            limits: dict[str, Any] = {
                "min_length": schema.get("minLength"),
                "max_length": schema.get("maxLength"),
                "format": schema.get("format"),
            }
            return FormField(**field, **limits, kind="text")
    raise TypeError(id)


def _server_options(schema: Mapping[str, Any], *, titled_by: str) -> tuple[FormOption, ...]:
    if titled_by in schema:
        return tuple(FormOption(value=option["const"], label=option.get("title") or option["const"]) for option in schema[titled_by])
    values = schema["enum"]
    labels = schema.get("enumNames") or values
    return tuple(FormOption(value=value, label=label) for value, label in zip(values, labels, strict=True))


class _ModelQuestion(_Model):
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
    kind: FieldKind
    options: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=MAX_OPTION_TEXT)], ...], Field(max_length=MAX_OPTIONS)] = ()
    required: bool = True


class _ModelQuestions(_Model):
    questions: Annotated[tuple[_ModelQuestion, ...], Field(min_length=1, max_length=MAX_QUESTIONS)]


def form_of_model(arguments: Mapping[str, Any]) -> Form:
    """Return the form of a call of `ask_user`; its fields have the ids `1` to `4`. Raises UnusableForm."""
    try:
        questions = _ModelQuestions.model_validate(dict(arguments)).questions
        return Form(fields=tuple(_field(str(number), question) for number, question in enumerate(questions, 1)))
    except ValidationError as exc:
        raise UnusableForm(f"Not asked: {_reason(exc)}") from exc


def _field(id: str, question: _ModelQuestion) -> FormField:
    options = tuple(FormOption(value=option, label=option) for option in question.options)
    return FormField(id=id, text=question.text, kind=question.kind, options=options, required=question.required)


def _reason(exc: ValidationError) -> str:
    error = exc.errors()[0]
    return f"/{'/'.join(map(str, error['loc']))}: {error['msg']}"[:_MAX_REASON]


def _has_format(text: str, wanted: TextFormat) -> bool:
    try:
        match wanted:
            case "email":
                name, at, host = text.rpartition("@")
                return bool(name and at and host) and not any(map(str.isspace, text))
            case "uri":
                return bool(urlsplit(text).scheme)
            case "date":
                return bool(date.fromisoformat(text))
            case "date-time":
                return bool(datetime.fromisoformat(text))
    except ValueError:
        return False
