"""Request models of Anthropic's Messages API.

An unsupported field that would change the answer is rejected; a field that is only a hint is ignored.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from functions.chat.anthropic_api.blocks import BlockIn, ContentBlockIn, TextBlockIn
from functions.chat.completions.schemas import LenientInput, WholeNumber
from parley.http.schemas import ForgivingInput
from parley.llm import messages as llm

MAX_MESSAGES = 10_000
MAX_STOPS = 100
MAX_TOOLS = 1000

type ToolNameIn = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
type Effort = Literal["low", "medium", "high", "xhigh", "max"]


class AnthropicMessageIn(LenientInput):
    """A message of the conversation."""

    role: Literal["user", "assistant", "system"]
    content: str | list[ContentBlockIn]

    @property
    def blocks(self) -> list[ContentBlockIn]:
        """The content as blocks."""
        return [TextBlockIn(type="text", text=self.content)] if isinstance(self.content, str) else self.content


class AnthropicToolIn(BlockIn):
    """A tool that the client runs."""

    type: str | None = None
    name: ToolNameIn
    input_schema: dict[str, Any]
    description: str | None = None

    @field_validator("type")
    @classmethod
    def _runs_at_the_client(cls, value: str | None) -> str | None:
        if value not in (None, "custom"):
            raise PydanticCustomError("server_tool", "tools that Anthropic defines are not supported; send the tool with its input_schema")
        return value


class AnthropicToolChoiceIn(LenientInput):
    """The tools that the model may or must call. `name` is required for the type `tool`."""

    type: Literal["auto", "any", "tool", "none"]
    name: ToolNameIn | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingIn(LenientInput):
    """The wish for reasoning. Only Anthropic's models have its settings; others reason as they are set up."""

    type: Literal["enabled", "adaptive", "disabled", "between_tools"]
    budget_tokens: Annotated[WholeNumber, Field(ge=1024)] | None = None
    display: Literal["summarized", "omitted"] | None = None


class OutputFormatIn(LenientInput):
    """The JSON schema of the answer."""

    model_config = ConfigDict(serialize_by_alias=True)

    type: Literal["json_schema"]
    json_schema: dict[str, Any] = Field(alias="schema")


class OutputConfigIn(LenientInput):
    """The effort and the format of the answer."""

    effort: Effort | None = None
    format: OutputFormatIn | None = None


class MetadataIn(LenientInput):
    """The client's own name for its user."""

    user_id: str | None = None


class CountTokensIn(ForgivingInput):
    """The body of POST /v1/messages/count_tokens: the part of a request that the model reads."""

    max_values: ClassVar[int] = 100_000  # agents send long histories, and the schemas of many tools

    model: Annotated[str, Field(min_length=1, max_length=100, examples=["offline"])]
    messages: Annotated[
        list[AnthropicMessageIn],
        Field(min_length=1, max_length=MAX_MESSAGES, examples=[[{"role": "user", "content": "What is 12.5% of 840?"}]]),
    ]
    cache_control: dict[str, Any] | None = None
    context_management: dict[str, Any] | None = None
    mcp_servers: Annotated[list[Any], Field(max_length=0)] | None = None
    output_config: OutputConfigIn | None = None
    output_format: OutputFormatIn | None = None
    speed: str | None = None
    system: str | list[TextBlockIn] | None = None
    thinking: ThinkingIn | None = None
    tool_choice: AnthropicToolChoiceIn | None = None
    tools: Annotated[list[AnthropicToolIn], Field(max_length=MAX_TOOLS)] | None = None

    @property
    def caches_messages(self) -> bool:
        """Whether the client asks the vendor to cache the messages."""
        blocks = (block for message in self.messages if not isinstance(message.content, str) for block in message.content)
        return self.cache_control is not None or any(isinstance(block, BlockIn) and block.cache_control is not None for block in blocks)

    @property
    def output(self) -> llm.OutputSchema | None:
        """The schema of the answer, None for plain text."""
        found = (self.output_config and self.output_config.format) or self.output_format
        return llm.OutputSchema("answer", found.json_schema) if found else None


class MessagesIn(CountTokensIn):
    """The body of POST /v1/messages."""

    max_tokens: Annotated[WholeNumber, Field(gt=0, examples=[1024])]
    container: None = None
    diagnostics: dict[str, Any] | None = None
    inference_geo: None = None
    metadata: MetadataIn | None = None
    service_tier: str | None = None
    stop_sequences: Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=MAX_STOPS)] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[WholeNumber, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None

    @property
    def stops(self) -> list[str]:
        """The stop sequences."""
        return self.stop_sequences or []
