"""Response models of Anthropic's Messages API."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from parley.http.schemas import Output
from parley.llm.messages import Usage

type StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"]


class TextBlockOut(Output):
    """Visible text. Answers have no citations."""

    type: Literal["text"] = "text"
    text: str
    citations: None = None


class ThinkingBlockOut(Output):
    """The model's reasoning, with its own form of it as the signature. The text is empty if it is not shown."""

    type: Literal["thinking"] = "thinking"
    thinking: str
    signature: str


class CallerOut(Output):
    """The origin of a tool call, which is always the model itself."""

    type: Literal["direct"] = "direct"


class ToolUseBlockOut(Output):
    """A call to one of the client's tools."""

    type: Literal["tool_use"] = "tool_use"
    id: str
    name: str
    input: dict[str, Any]
    caller: CallerOut = CallerOut()


class ThinkingTokensOut(Output):
    """How many of the answer's tokens were reasoning."""

    thinking_tokens: int


class AnthropicUsageOut(Output):
    """The tokens of a message. `input_tokens` has none of the tokens that the vendor read from its cache or wrote to it."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens_details: ThinkingTokensOut
    cache_creation: None = None
    inference_geo: None = None
    server_tool_use: None = None
    service_tier: None = None

    @classmethod
    def of(cls, usage: Usage) -> "AnthropicUsageOut":
        """Convert `usage` to Anthropic's field names."""
        return cls(
            input_tokens=usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens,
            output_tokens=usage.output_tokens,
            cache_creation_input_tokens=usage.cache_write_tokens,
            cache_read_input_tokens=usage.cached_input_tokens,
            output_tokens_details=ThinkingTokensOut(thinking_tokens=usage.reasoning_tokens),
        )


class AnthropicMessageOut(Output):
    """A message that is not streamed."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[Annotated[TextBlockOut | ThinkingBlockOut | ToolUseBlockOut, Field(discriminator="type")]]
    stop_reason: StopReason | None
    stop_sequence: str | None = None
    stop_details: None = None
    container: None = None
    usage: AnthropicUsageOut


class TokenCountOut(Output):
    """The tokens of a prompt: an estimate, because each vendor counts in its own way."""

    input_tokens: int


class AnthropicModelOut(Output):
    """A model in Anthropic's format. The catalogue has no dates, and a strategy has no limits of its own."""

    id: str
    type: Literal["model"] = "model"
    display_name: str
    created_at: datetime
    lifecycle: Literal["active"] = "active"
    line: None = None
    capabilities: None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    deprecated_at: None = None
    retires_at: None = None


class AnthropicModelsOut(Output):
    """A page of the list of models."""

    data: list[AnthropicModelOut]
    has_more: bool
    first_id: str | None
    last_id: str | None


MESSAGE_EVENT_SCHEMA: dict[str, Any] = {
    "title": "MessageEvent",
    "description": "Each Server-Sent Event; `event` is the `type` of the JSON object in `data`.",
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {
            "enum": [
                *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
                *("message_delta", "message_stop", "ping", "error"),
            ]
        },
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
