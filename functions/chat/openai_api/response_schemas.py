"""Response models of the OpenAI-compatible routes."""

from typing import Any, Literal

from pydantic import Field

from parley.http.schemas import Output
from parley.llm.messages import FinishReason, Usage


class PromptTokensDetailsOut(Output):
    """How many of the prompt's tokens the vendor read from its cache."""

    cached_tokens: int


class CompletionTokensDetailsOut(Output):
    """How many of the answer's tokens were reasoning."""

    reasoning_tokens: int


class CompletionUsageOut(Output):
    """The tokens of a completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetailsOut
    completion_tokens_details: CompletionTokensDetailsOut

    @classmethod
    def of(cls, usage: Usage) -> "CompletionUsageOut":
        """Convert `usage` to OpenAI's field names."""
        return cls(
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.input_tokens + usage.output_tokens,
            prompt_tokens_details=PromptTokensDetailsOut(cached_tokens=usage.cached_input_tokens),
            completion_tokens_details=CompletionTokensDetailsOut(reasoning_tokens=usage.reasoning_tokens),
        )


class FunctionCallOut(Output):
    """A called function, with its arguments as JSON text."""

    name: str
    arguments: str


class ToolCallOut(Output):
    """A call to one of the client's tools."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCallOut


def _is_none(value: object) -> bool:
    return value is None


class AssistantMessageOut(Output):
    """The answer. `content` is null if there are only tool calls or a refusal."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None
    annotations: list[dict[str, Any]] = Field(default_factory=list)
    # OpenAI's description allows no null for these.
    reasoning_content: str | None = Field(default=None, exclude_if=_is_none)
    tool_calls: list[ToolCallOut] | None = Field(default=None, exclude_if=_is_none)


class ChoiceOut(Output):
    """The answer as a choice; a completion always has exactly one."""

    index: Literal[0] = 0
    message: AssistantMessageOut
    logprobs: None = None
    finish_reason: FinishReason


class CompletionOut(Output):
    """A completion that is not streamed."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChoiceOut]
    usage: CompletionUsageOut


CHUNK_SCHEMA: dict[str, Any] = {
    "title": "CompletionChunk",
    "description": 'Each Server-Sent Event: one JSON object, `chat.completion.chunk` or `{"error": …}`; the last is `[DONE]`.',
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "string", "contentMediaType": "application/json"}},
}


class OpenAIModelOut(Output):
    """A model in OpenAI's format. `created` is always 0, because the catalogue has no dates.

    `kind` tells what a request may do with it: `chat`, `strategy` and `assistant` answer, `embedding` makes vectors. `name` is set for
    an assistant.
    """

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str
    kind: Literal["chat", "strategy", "embedding", "assistant"]
    name: str | None = None


class OpenAIModelsOut(Output):
    """The list of models."""

    object: Literal["list"] = "list"
    data: list[OpenAIModelOut]


class EmbeddingOut(Output):
    """One vector: a list of numbers, or little-endian float32 in base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsageOut(Output):
    """The tokens of an embedding request."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsOut(Output):
    """The vectors, in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[EmbeddingOut]
    model: str
    usage: EmbeddingUsageOut
