"""Request models of the Responses API.

An unsupported field that would change the answer is rejected; a field that is only a hint is ignored.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from functions.chat.completions.schemas import LenientInput, WholeNumber
from functions.chat.responses_api.input_items import InputItem, MessageItemIn
from functions.chat.schemas import OpenAIName
from parley.http.schemas import ForgivingInput, Input
from parley.llm import messages as llm

MAX_ITEMS = 4096
MAX_TOOLS = 128
MAX_NEW_ITEMS = 20  # at a time, as in OpenAI's API

type InputText = Annotated[str, Field(min_length=1)]
type InputItems = Annotated[list[InputItem], Field(min_length=1, max_length=MAX_ITEMS)]
type Metadata = Annotated[dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)]
type ConversationId = Annotated[str, Field(min_length=1, max_length=100)]
type ShortText = Annotated[str, Field(max_length=20)]


class FunctionToolIn(LenientInput):
    """A function that the client runs."""

    type: Literal["function"]
    name: OpenAIName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class CustomFormatIn(LenientInput):
    """The format of a free-form tool's input: any text, or text of a grammar."""

    type: Literal["text", "grammar"]
    syntax: str | None = None
    definition: str | None = None


class CustomToolIn(LenientInput):
    """A free-form tool, which takes text instead of arguments."""

    type: Literal["custom"]
    name: OpenAIName
    description: str | None = None
    format: CustomFormatIn | None = None


class NamespaceToolIn(LenientInput):
    """Tools whose names share a prefix, for example the tools of an MCP server connected to the client."""

    type: Literal["namespace"]
    name: OpenAIName
    description: str | None = None
    tools: Annotated[list[Annotated[FunctionToolIn | CustomToolIn, Field(discriminator="type")]], Field(max_length=MAX_TOOLS)]


class WebSearchToolIn(LenientInput):
    """OpenAI's own web search. It is ignored: the model answers without it, as OpenAI's may."""

    type: Literal["web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"]


type ResponseToolIn = Annotated[FunctionToolIn | CustomToolIn | NamespaceToolIn | WebSearchToolIn, Field(discriminator="type")]


class ChosenToolIn(Input):
    """The tool that the model must call."""

    type: Literal["function", "custom"]
    name: OpenAIName


class AllowedToolIn(LenientInput):
    """A tool that the model may call."""

    type: Literal["function", "custom"]
    name: OpenAIName


class AllowedToolsIn(Input):
    """The tools that the model may call, or must call one of."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: Annotated[list[AllowedToolIn], Field(max_length=MAX_TOOLS)]


class TextFormatIn(Input):
    """The format of the answer: plain text, any JSON object, or JSON that follows a schema."""

    model_config = ConfigDict(serialize_by_alias=True)

    type: Literal["text", "json_object", "json_schema"]
    name: OpenAIName | None = None
    description: str | None = None
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if self.type == "json_schema" and (self.name is None or self.json_schema is None):
            raise PydanticCustomError("json_schema", "name and schema are required for the type json_schema")
        return self

    def output(self) -> llm.OutputSchema | None:
        """Return the schema for the model's answer, None for plain text."""
        if self.type == "json_schema" and self.json_schema is not None:
            return llm.OutputSchema(self.name or "answer", self.json_schema, strict=bool(self.strict))
        return llm.OutputSchema("answer", {"type": "object"}, strict=False) if self.type == "json_object" else None


class TextConfigIn(Input):
    """The format of the answer, and how verbose it is."""

    format: TextFormatIn | None = None
    verbosity: ShortText | None = None


class ReasoningConfigIn(LenientInput):
    """How much the model reasons, and how much of it OpenAI shows. Other vendors' reasoning is shown where they send it."""

    effort: ShortText | None = None
    summary: ShortText | None = None


class ConversationNameIn(Input):
    """A conversation of `/v1/conversations`."""

    id: ConversationId


class ResponseInputIn(ForgivingInput):
    """The model and the input of a request. It may continue a stored response, or a conversation of `/v1/conversations`."""

    model: Annotated[str, Field(min_length=1, max_length=100, examples=["offline"])]
    input: InputText | InputItems | None
    conversation: ConversationId | ConversationNameIn | None = None
    instructions: str | None = None
    previous_response_id: Annotated[str, Field(max_length=100)] | None = None

    @model_validator(mode="after")
    def _continues_one_thing(self) -> Self:
        if self.conversation is not None and self.previous_response_id is not None:
            raise PydanticCustomError("continuation", "conversation and previous_response_id exclude each other")
        return self

    @property
    def conversation_id(self) -> str | None:
        """The id of the conversation that the request continues."""
        return self.conversation.id if isinstance(self.conversation, ConversationNameIn) else self.conversation

    @property
    def items(self) -> list[InputItem]:
        """The items of the input. A text is the user's message."""
        return [MessageItemIn(role="user", content=self.input)] if isinstance(self.input, str) else self.input or []


class CompactIn(ResponseInputIn):
    """The body of POST /v1/responses/compact. It needs an input, or a response or conversation to continue; other fields are ignored."""

    input: Annotated[InputText | InputItems | None, Field(examples=["What is 12.5% of 840?"])] = None
    prompt_cache_key: Annotated[str, Field(max_length=1024)] | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: ShortText | None = None
    service_tier: ShortText | None = None

    @model_validator(mode="after")
    def _has_an_input(self) -> Self:
        if self.input is None and self.previous_response_id is None and self.conversation is None:
            raise PydanticCustomError("no_input", "input, previous_response_id or conversation is required")
        return self


class ConversationMetadataIn(ForgivingInput):
    """The body of POST /v1/conversations/{id}."""

    metadata: Annotated[Metadata | None, Field(examples=[{"topic": "travel"}])]


class ConversationItemsIn(ForgivingInput):
    """The body of POST /v1/conversations/{id}/items."""

    items: Annotated[list[InputItem], Field(min_length=1, max_length=MAX_NEW_ITEMS, examples=[[{"role": "user", "content": "Hello"}]])]


class ItemPageIn(BaseModel):
    """The query of a list of items: the order, the size of the page, and the item before it."""

    order: Literal["asc", "desc"] = "desc"
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    after: Annotated[str | None, Field(max_length=100)] = None


class NewConversationIn(ForgivingInput):
    """The body of POST /v1/conversations."""

    items: Annotated[list[InputItem], Field(max_length=MAX_NEW_ITEMS)] | None = None
    metadata: Metadata | None = None


class ResponseHintsIn(ResponseInputIn):
    """Fields that do not change the content of the answer, and fields that are supported only with their default values."""

    client_metadata: dict[str, Any] | None = None
    include: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=20)] | None = None
    max_tool_calls: Annotated[WholeNumber, Field(gt=0)] | None = None
    metadata: Metadata | None = None
    prompt_cache_key: Annotated[str, Field(max_length=1024)] | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: ShortText | None = None
    safety_identifier: Annotated[str, Field(max_length=128)] | None = None
    service_tier: ShortText | None = None
    stream_options: dict[str, Any] | None = None
    top_logprobs: Literal[0] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: Annotated[str, Field(max_length=1024)] | None = None


class ResponseIn(ResponseHintsIn):
    """The body of POST /v1/responses."""

    input: Annotated[InputText | InputItems, Field(examples=["What is 12.5% of 840?"])]
    background: bool | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    max_output_tokens: Annotated[WholeNumber, Field(gt=0)] | None = None
    parallel_tool_calls: bool | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    reasoning: ReasoningConfigIn | None = None
    store: bool | None = None
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    text: TextConfigIn | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenToolIn | AllowedToolsIn | None = None
    tools: Annotated[list[ResponseToolIn], Field(max_length=MAX_TOOLS)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _is_stored_in_background(self) -> Self:
        if self.background and self.store is False:
            raise PydanticCustomError("background", "a response in the background is always stored; leave out store, or set it to true")
        return self

    def options(self) -> llm.GenerationOptions:
        """Return the options, without those that leave the answer as it is."""
        return llm.GenerationOptions(
            top_p=None if self.top_p == 1 else self.top_p,
            frequency_penalty=self.frequency_penalty or None,
            presence_penalty=self.presence_penalty or None,
            reasoning_effort=self.reasoning.effort if self.reasoning else None,
            reasoning_summary=self.reasoning.summary if self.reasoning else None,
            verbosity=self.text.verbosity if self.text else None,
            parallel_tool_calls=self.parallel_tool_calls,
        )

    def output(self) -> llm.OutputSchema | None:
        """Return the schema of the answer, None for plain text."""
        return self.text.format.output() if self.text and self.text.format else None
