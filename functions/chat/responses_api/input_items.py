"""The items of a request's `input`: messages, tool calls with their outputs, and reasoning.

Unknown fields are ignored, because clients send back the items of earlier answers, which may come from any vendor.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from functions.chat.completions.schemas import LenientInput, RefusalPartIn
from parley.llm.messages import ImageDetail

type CallId = Annotated[str, Field(min_length=1)]
type CallName = Annotated[str, Field(min_length=1)]


class InputTextIn(LenientInput):
    """A text part of a message, of a tool's output or of reasoning."""

    type: Literal["input_text", "output_text", "text", "summary_text", "reasoning_text"]
    text: str


class InputImageIn(LenientInput):
    """An image part; `image_url` must be a data URL."""

    type: Literal["input_image"]
    image_url: str
    detail: ImageDetail | None = None


type ContentIn = list[Annotated[InputTextIn | RefusalPartIn | InputImageIn, Field(discriminator="type")]]


class MessageItemIn(LenientInput):
    """A message. Its `type` may be missing."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | ContentIn


class ReasoningItemIn(LenientInput):
    """Reasoning that an earlier answer had before its text or its tool calls."""

    type: Literal["reasoning"]
    summary: list[InputTextIn] = Field(default_factory=list)
    content: list[InputTextIn] | None = None
    encrypted_content: str | None = None


class FunctionCallItemIn(LenientInput):
    """A call of a function, with its arguments as the model wrote them. It is incomplete if the answer ended before the arguments."""

    type: Literal["function_call"]
    call_id: CallId
    name: CallName
    arguments: str
    namespace: str | None = None
    status: str | None = None


class CustomCallItemIn(LenientInput):
    """A call of a free-form tool, with its input as text. It is incomplete if the answer ended before the input."""

    type: Literal["custom_tool_call"]
    call_id: CallId
    name: CallName
    input: str
    namespace: str | None = None
    status: str | None = None


class CallOutputItemIn(LenientInput):
    """The output of a function or of a free-form tool."""

    type: Literal["function_call_output", "custom_tool_call_output"]
    call_id: CallId
    output: str | ContentIn


class CompactionItemIn(LenientInput):
    """The summary of the conversation before, made by `POST /v1/responses/compact`."""

    type: Literal["compaction", "compaction_summary"]
    encrypted_content: str


class WebSearchItemIn(LenientInput):
    """A web search that another vendor made. It is ignored, because its result is in the message after it."""

    type: Literal["web_search_call"]


class ItemReferenceIn(LenientInput):
    """An item of a stored response, by its id."""

    type: Literal["item_reference"]
    id: Annotated[str, Field(min_length=1, max_length=100)]


def _item_type(item: object) -> str:
    kind = item.get("type") if isinstance(item, Mapping) else getattr(item, "type", None)
    return "message" if kind is None else str(kind)


type InputItem = Annotated[
    Annotated[MessageItemIn, Tag("message")]
    | Annotated[ReasoningItemIn, Tag("reasoning")]
    | Annotated[FunctionCallItemIn, Tag("function_call")]
    | Annotated[CustomCallItemIn, Tag("custom_tool_call")]
    | Annotated[CallOutputItemIn, Tag("function_call_output")]
    | Annotated[CallOutputItemIn, Tag("custom_tool_call_output")]
    | Annotated[CompactionItemIn, Tag("compaction")]
    | Annotated[CompactionItemIn, Tag("compaction_summary")]
    | Annotated[WebSearchItemIn, Tag("web_search_call")]
    | Annotated[ItemReferenceIn, Tag("item_reference")],
    Discriminator(_item_type),
]
