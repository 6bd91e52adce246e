"""Response models of the Responses API: a response, its output items and its usage."""

from typing import Any, Literal, Self

from pydantic import Field

from functions.chat.responses_api.schemas import FunctionToolIn, ResponseIn, ResponseToolIn, TextConfigIn, WebSearchToolIn
from parley.http.schemas import Output
from parley.llm.messages import Usage

type ItemStatus = Literal["in_progress", "completed", "incomplete"]
type ResponseStatus = Literal["in_progress", "completed", "incomplete", "failed", "cancelled"]


def _is_none(value: object) -> bool:
    return value is None


class OutputTextOut(Output):
    """The text of an answer."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[dict[str, Any]] = Field(default_factory=list)
    logprobs: list[dict[str, Any]] = Field(default_factory=list)


class OutputRefusalOut(Output):
    """The text with which the model refused to answer."""

    type: Literal["refusal"] = "refusal"
    refusal: str


class SummaryTextOut(Output):
    """The text of a model's reasoning."""

    type: Literal["summary_text"] = "summary_text"
    text: str


class MessageItemOut(Output):
    """A message of the model."""

    id: str
    type: Literal["message"] = "message"
    status: ItemStatus
    role: Literal["assistant"] = "assistant"
    content: list[OutputTextOut | OutputRefusalOut]


class ReasoningItemOut(Output):
    """Reasoning before a text or a call. A client sends `encrypted_content` back unread, for models that require it."""

    id: str
    type: Literal["reasoning"] = "reasoning"
    summary: list[SummaryTextOut]
    # Open Responses' description allows no null here.
    encrypted_content: str | None = Field(default=None, exclude_if=_is_none)


class FunctionCallItemOut(Output):
    """A call of a function that the client runs."""

    id: str
    type: Literal["function_call"] = "function_call"
    status: ItemStatus
    call_id: str
    name: str
    arguments: str
    namespace: str | None = Field(default=None, exclude_if=_is_none)


class CustomCallItemOut(Output):
    """A call of a free-form tool that the client runs."""

    id: str
    type: Literal["custom_tool_call"] = "custom_tool_call"
    status: ItemStatus
    call_id: str
    name: str
    input: str
    namespace: str | None = Field(default=None, exclude_if=_is_none)


type OutputItem = MessageItemOut | ReasoningItemOut | FunctionCallItemOut | CustomCallItemOut


class InputTokensDetailsOut(Output):
    """How many of the input's tokens the vendor read from its cache or wrote to it."""

    cached_tokens: int
    cache_write_tokens: int


class OutputTokensDetailsOut(Output):
    """How many of the output's tokens were reasoning."""

    reasoning_tokens: int


class ResponseUsageOut(Output):
    """The tokens of a response."""

    input_tokens: int
    input_tokens_details: InputTokensDetailsOut
    output_tokens: int
    output_tokens_details: OutputTokensDetailsOut
    total_tokens: int

    @classmethod
    def of(cls, usage: Usage) -> Self:
        """Return `usage` with the field names of the Responses API."""
        return cls(
            input_tokens=usage.input_tokens,
            input_tokens_details=InputTokensDetailsOut(
                cached_tokens=usage.cached_input_tokens, cache_write_tokens=usage.cache_write_tokens
            ),
            output_tokens=usage.output_tokens,
            output_tokens_details=OutputTokensDetailsOut(reasoning_tokens=usage.reasoning_tokens),
            total_tokens=usage.input_tokens + usage.output_tokens,
        )


class ResponseErrorOut(Output):
    """Why a response failed, and after how many seconds to try again, if that is known."""

    code: str
    message: str
    retry_after: int | None = Field(default=None, exclude_if=_is_none)


class IncompleteDetailsOut(Output):
    """Why a response is incomplete."""

    reason: Literal["max_output_tokens", "content_filter"]


class ResponseResultOut(Output):
    """The result of a request. Until the response has ended, `usage` is null."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None
    status: ResponseStatus
    error: ResponseErrorOut | None
    incomplete_details: IncompleteDetailsOut | None
    model: str
    output: list[OutputItem]
    usage: ResponseUsageOut | None


class ConversationRefOut(Output):
    """The conversation that a response belongs to."""

    id: str


class RequestEchoOut(Output):
    """The fields of the request, with the values that were in effect."""

    conversation: ConversationRefOut | None = Field(default=None, exclude_if=_is_none)
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    parallel_tool_calls: bool
    presence_penalty: float
    frequency_penalty: float
    previous_response_id: str | None
    prompt_cache_key: str | None
    reasoning: dict[str, str | None]
    safety_identifier: str | None
    store: bool
    temperature: float
    text: dict[str, Any]
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    top_p: float
    user: str | None
    background: bool = False
    service_tier: Literal["default"] = "default"
    top_logprobs: Literal[0] = 0
    truncation: Literal["disabled"] = "disabled"


class ResponseOut(RequestEchoOut, ResponseResultOut):
    """A response, with the fields of its request."""


class InputTokensOut(Output):
    """The estimated tokens of a request's input."""

    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int


class CompactionOut(Output):
    """A conversation made shorter: the user's messages, and an item with a summary for the model."""

    id: str
    object: Literal["response.compaction"] = "response.compaction"
    created_at: int
    output: list[dict[str, Any]]
    usage: ResponseUsageOut


class DeletedResponseOut(Output):
    """A response that was deleted."""

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


class ClientConversationOut(Output):
    """A conversation without its items."""

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int
    metadata: dict[str, str]


class DeletedConversationOut(Output):
    """A conversation that was deleted."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: Literal[True] = True


class ItemListOut(Output):
    """A page of the items of a request or of a conversation."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


def request_echo(body: ResponseIn) -> RequestEchoOut:
    """Return the fields of the request that a response repeats. A tool that was ignored is left out."""
    choice = body.tool_choice
    return RequestEchoOut(
        background=bool(body.background),
        conversation=ConversationRefOut(id=body.conversation_id) if body.conversation_id else None,
        instructions=body.instructions,
        max_output_tokens=body.max_output_tokens,
        max_tool_calls=body.max_tool_calls,
        metadata=body.metadata or {},
        parallel_tool_calls=body.parallel_tool_calls is not False,
        presence_penalty=body.presence_penalty or 0,
        frequency_penalty=body.frequency_penalty or 0,
        previous_response_id=body.previous_response_id,
        prompt_cache_key=body.prompt_cache_key,
        reasoning={"effort": None, "summary": None} | (body.reasoning.model_dump() if body.reasoning else {}),
        safety_identifier=body.safety_identifier,
        store=body.store is not False,
        temperature=1 if body.temperature is None else body.temperature,
        text=_text_echo(body),
        tool_choice=choice if isinstance(choice, str) else choice.model_dump() if choice else "auto",
        tools=[_tool_echo(tool) for tool in body.tools or () if not isinstance(tool, WebSearchToolIn)],
        top_p=1 if body.top_p is None else body.top_p,
        user=body.user,
    )


def _text_echo(body: ResponseIn) -> dict[str, Any]:
    text = body.text or TextConfigIn()
    shown: dict[str, Any] = {"type": text.format.type if text.format else "text"}
    if text.format and text.format.type == "json_schema":
        shown = text.format.model_dump() | {"strict": bool(text.format.strict)}
    return {"format": shown} | ({"verbosity": text.verbosity} if text.verbosity else {})


def _tool_echo(tool: ResponseToolIn) -> dict[str, Any]:
    """Return a tool. OpenAI's description requires all fields of a function, also those without a value."""
    return tool.model_dump(exclude_none=not isinstance(tool, FunctionToolIn))
