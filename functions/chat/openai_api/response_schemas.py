"""Responses to OpenAI's clients."""

from typing import Any, Literal

from parley.http.schemas import Output
from parley.llm.messages import FinishReason, Usage


class PromptTokensDetailsOut(Output):
    """What of the prompt came from the vendor's cache."""

    cached_tokens: int


class CompletionUsageOut(Output):
    """What an answer took."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetailsOut

    @classmethod
    def of(cls, usage: Usage) -> "CompletionUsageOut":
        """Show a count of ours."""
        return cls(
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.input_tokens + usage.output_tokens,
            prompt_tokens_details=PromptTokensDetailsOut(cached_tokens=usage.cached_input_tokens),
        )


class FunctionCallOut(Output):
    """A function and its arguments, as JSON text."""

    name: str
    arguments: str


class ToolCallOut(Output):
    """A call of one of the client's tools."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCallOut


class AssistantMessageOut(Output):
    """The answer. `content` is null where there are only calls of tools."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    tool_calls: list[ToolCallOut] | None = None


class ChoiceOut(Output):
    """The only choice."""

    index: Literal[0] = 0
    message: AssistantMessageOut
    logprobs: None = None
    finish_reason: FinishReason


class CompletionOut(Output):
    """An answer in one piece."""

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
    """A model, as OpenAI lists them. `created` is 0: the catalogue does not know."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str


class OpenAIModelsOut(Output):
    """All models."""

    object: Literal["list"] = "list"
    data: list[OpenAIModelOut]


class EmbeddingOut(Output):
    """One vector: numbers, or little-endian float32 in base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsageOut(Output):
    """What embedding took."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsOut(Output):
    """The vectors, in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[EmbeddingOut]
    model: str
    usage: EmbeddingUsageOut
