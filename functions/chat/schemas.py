"""Request and response models of the chat routes."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self, get_args
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from functions.chat.form_schemas import PendingQuestionOut, QuestionOut
from functions.chat.turn.events import TurnEvent
from functions.chat.turn.images import MAX_IMAGES
from functions.chat.turn.question import MAX_MESSAGE_CHARACTERS
from functions.chat.turn.replay import TurnSnapshot
from functions.chat.turn.steering_messages import MAX_CHARACTERS
from parley.errors import InvalidInput
from parley.http.schemas import HistoryMessageOut, Input, Output, Timestamp, UsageOut
from parley.llm.messages import Image, OutputSchema
from parley.llm.model import Model

MAX_DOCUMENTS = 100
MAX_TOOLS = 1000

type OpenAIName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
type DocumentSelection = bool | Annotated[list[Annotated[UUID, Field(strict=False)]], Field(max_length=MAX_DOCUMENTS)]

_UUID_PATTERN = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class JsonSchemaIn(Input):
    """A named JSON schema for the answer, as in OpenAI's `response_format`."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: OpenAIName
    description: str | None = None
    json_schema: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class ResponseFormatIn(Input):
    """OpenAI's `response_format`: plain text, any JSON object, or JSON that follows a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaIn | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise PydanticCustomError("json_schema", "json_schema is required for the type json_schema, and not allowed for other types")
        return self

    def output(self) -> OutputSchema | None:
        """Return the schema for the model's answer, None for plain text."""
        if self.json_schema:
            return OutputSchema(self.json_schema.name, self.json_schema.json_schema, strict=bool(self.json_schema.strict))
        return OutputSchema("answer", {"type": "object"}, strict=False) if self.type == "json_object" else None


class ChatIn(Input):
    """The body of POST /chat."""

    message: Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE_CHARACTERS)]
    conversation_id: Annotated[UUID, Field(strict=False)] | None = None
    model: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    tools: bool | Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=MAX_TOOLS)] = True
    documents: DocumentSelection = False
    stream: bool = True
    max_output_tokens: Annotated[int, Field(gt=0)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    images: Annotated[list[str], Field(max_length=MAX_IMAGES)] = Field(default_factory=list)
    response_format: ResponseFormatIn | None = None
    incognito: bool = False
    wait: bool = False
    assistant_id: Annotated[UUID, Field(strict=False)] | None = None
    questions: bool = False

    @property
    def output(self) -> OutputSchema | None:
        """The schema of the answer, None for plain text."""
        return self.response_format.output() if self.response_format else None

    def attached(self) -> list[Image | UUID]:
        """Return the attached images in order: a new image as data, an earlier image as its id. Raises InvalidInput."""
        return [_image_or_id(image, index) for index, image in enumerate(self.images)]


def _image_or_id(image: str, index: int) -> Image | UUID:
    if _UUID_PATTERN.fullmatch(image):
        return UUID(image)
    try:
        return Image.from_data_url(image)
    except InvalidInput as exc:
        raise InvalidInput(f"{exc.errors[0]['msg']}; or the id of an earlier image", loc=("body", "images", index)) from exc


class RegenerateIn(Input):
    """The body of POST /chat/regenerate."""

    conversation_id: Annotated[UUID, Field(strict=False)]
    model: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    documents: DocumentSelection = False
    response_format: ResponseFormatIn | None = None
    stream: bool = True
    questions: bool = False

    @property
    def output(self) -> OutputSchema | None:
        """The schema of the answer, None for plain text."""
        return self.response_format.output() if self.response_format else None


class ImageOut(Output):
    """An image. Anyone with the URL can read the image for an hour."""

    id: UUID
    media_type: str
    url: str


class ApprovalIn(Input):
    """The body of POST /chat/turns/{id}/approvals."""

    call_id: Annotated[str, Field(min_length=1, max_length=1000, examples=["call_1"])]
    approve: bool
    stream: bool = True


class SteeringMessageIn(Input):
    """The body of POST /chat/turns/{id}/messages. The client chooses `key`, so that a repeated request adds no second message."""

    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", examples=["key_1"])]
    message: Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS, examples=["In euros, please"])]


class ToolResultOut(Output):
    """The result of a tool call, as the model received it."""

    call_id: str
    name: str | None
    ok: bool
    content: str


class PendingToolCallOut(Output):
    """A tool call that needs the user's approval."""

    call_id: str
    name: str
    arguments: dict[str, Any]


class SourceOut(Output):
    """A document chunk that the answer cites as `[number]`. `snippet` is the excerpt that contains most of the question's words."""

    number: int
    document_id: UUID
    title: str
    chunk_id: UUID
    page: int | None
    snippet: str
    score: float


class WebSourceOut(Output):
    """A web page that the answer cites as `[number]`. `snippet` is the excerpt that contains most of the search query's words."""

    number: int
    url: str
    title: str
    snippet: str


class TurnOut(Output):
    """A turn that was not streamed. `message` is null while the turn waits; `approvals` then lists the tool calls to decide, and
    `questions` the questions to answer.

    `sources` lists only sources that the answer cites.
    """

    turn_id: UUID
    conversation_id: UUID
    status: Literal["completed", "stopped", "interrupted", "waiting"]
    message: HistoryMessageOut | None
    usage: UsageOut | None
    sources: list[SourceOut | WebSourceOut]
    tool_results: list[ToolResultOut]
    approvals: list[PendingToolCallOut]
    questions: list[PendingQuestionOut]


class ApprovalOut(PendingToolCallOut):
    """A tool call that needs, or needed, an approval. `is_approved` is null until the user decides."""

    is_approved: bool | None


class TurnStateOut(Output):
    """The state of a turn. `text` is the answer so far; `last_event` is the number of the last event reflected in it.

    `approvals` lists every tool call of the turn that needed an approval, and `questions` every question of the turn, decided or not.
    """

    id: UUID
    conversation_id: UUID
    user_message_id: UUID
    message_id: UUID | None
    status: Literal["running", "waiting", "completed", "stopped", "interrupted", "failed"]
    text: str
    model: str
    finish_reason: str | None
    error_code: str | None
    usage: UsageOut | None
    last_event: int
    started_at: Timestamp
    ended_at: Timestamp | None
    approvals: list[ApprovalOut]
    questions: list[QuestionOut]

    @classmethod
    def of(cls, state: TurnSnapshot) -> Self:
        """Convert a turn's state. `usage` is null until the turn has ended."""
        stored = asdict(state.record)
        usage = UsageOut.model_validate(state.record) if state.record.input_tokens is not None else None
        approvals = [approval for approval in state.approvals if approval.question is None]
        questions = [QuestionOut.of(approval) for approval in state.approvals if approval.question]
        return cls.model_validate(stored | {"text": state.text, "usage": usage, "approvals": approvals, "questions": questions})


_TURN_EVENT = {
    "title": "TurnEvent",
    "description": "Each Server-Sent Event; `id` counts from 1, `data` is one JSON object.",
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[1-9][0-9]*$"},
        "event": {"enum": [event.name for event in get_args(TurnEvent.__value__)]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
AG_UI_EVENT = {
    "title": "AgUiEvent",
    "description": "Each Server-Sent Event in AG-UI's format: `data` is one event of AG-UI.",
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "string", "pattern": r'^\{"type": ?"[A-Z_]+"', "contentMediaType": "application/json"}},
}
EVENT_SCHEMA = {"anyOf": [_TURN_EVENT, AG_UI_EVENT]}


class ModelOut(Output):
    """A model that a request may name. Prices are in US dollars per million tokens; `roles` are the tasks for which it is the default."""

    id: str
    provider: str
    context_tokens: int
    abilities: list[str]
    default: bool
    input_usd_per_mtok: float
    output_usd_per_mtok: float
    roles: list[str]

    @classmethod
    def of(cls, id: str, model: Model, *, default: bool, roles: Sequence[str]) -> Self:
        """Convert a model of the catalogue."""
        return cls(
            id=id,
            provider=model.provider,
            context_tokens=model.context_tokens,
            abilities=sorted(model.abilities),
            default=default,
            input_usd_per_mtok=float(model.input_usd_per_mtok),
            output_usd_per_mtok=float(model.output_usd_per_mtok),
            roles=list(roles),
        )
