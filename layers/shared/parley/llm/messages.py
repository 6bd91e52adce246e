"""Vendor-neutral messages, requests and stream events of a model call.

A tool round is one assistant message with the `ToolCall`s (and the `Thought`s between them, unchanged and in order),
followed by one message of the role `tool` with all their `ToolResult`s.
"""

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from parley.errors import InvalidInput

_DATA_URL = re.compile(r"data:(image/(?:png|jpeg|gif|webp));base64,", re.IGNORECASE)
# The first bytes of each image type: vendors reject an image whose type differs from the declared one.
_MAGIC_BYTES = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}

type ImageDetail = Literal["auto", "low", "high", "original"]


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A PNG, JPEG, GIF or WebP image."""

    media_type: str
    data: bytes
    detail: ImageDetail = "auto"

    @classmethod
    def from_data_url(cls, url: str, *, detail: ImageDetail = "auto") -> Self:
        """Parse `data:image/…;base64,…`. Raises InvalidInput for anything else: vendors must not fetch URLs for us."""
        match = _DATA_URL.match(url)
        try:
            if not match:
                raise ValueError("not an image")
            media_type, content = match[1].lower(), base64.b64decode(url[match.end() :], validate=True)
            if not _MAGIC_BYTES[media_type].match(content):
                raise ValueError(f"not {media_type}")
            return cls(media_type, content, detail)
        except (ValueError, binascii.Error) as exc:
            raise InvalidInput(
                "an image must be a base64 data URL of a PNG, JPEG, GIF or WebP that matches its declared type", loc=("body", "images")
            ) from exc

    @property
    def base64(self) -> str:
        """The bytes in base64."""
        return base64.b64encode(self.data).decode()

    @property
    def data_url(self) -> str:
        """The image as a data URL."""
        return f"data:{self.media_type};base64,{self.base64}"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's request to run a tool; `arguments` is the text of a JSON object, already validated as one.

    If the client runs the tools (`ModelRequest.client_runs_tools`), `arguments` is any text that the model wrote.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool's result, or the reason for its failure."""

    call_id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Thought:
    """A model's reasoning in its own format: some models require it to be sent back with their tool calls.

    `origin` is `provider/model name`. A thought is sent back only to the model that produced it.
    """

    origin: str
    payload: str


type Part = Text | Image | ToolCall | ToolResult | Thought
type Role = Literal["user", "assistant", "tool", "system"]
type FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
type Task = Literal["chat", "title", "summary", "facts", "describe"]
type ToolChoice = Literal["auto", "required", "none"]
type ThinkingMode = Literal["enabled", "adaptive", "disabled", "between_tools"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the context; a plain string is a single `Text`. `name` tells participants with the same role apart.

    `reasoning` is the text of the reasoning before an answer, which compatible servers may want back.
    """

    role: Role
    content: str | Sequence[Part]
    name: str | None = None
    reasoning: str | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The message's parts, in order."""
        return (Text(self.content),) if isinstance(self.content, str) else tuple(self.content)

    @property
    def has_images(self) -> bool:
        """Whether one of the parts is an image."""
        return not isinstance(self.content, str) and any(isinstance(part, Image) for part in self.content)

    @property
    def text(self) -> str:
        """All text parts, concatenated."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool that the model may call; `parameters` is the JSON schema of an object, which some vendors guarantee if `strict`.

    `text` is all of it as one text, for estimates of tokens, which every step of a turn makes again.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool = False
    text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", f"{self.name} {self.description} {json.dumps(dict(self.parameters))}")


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The answer must be one JSON value that matches `schema`; `name` consists of letters, digits, `_` and `-`.

    With `strict`, some vendors guarantee a match for a subset of JSON schema; otherwise a match is not guaranteed.
    """

    name: str
    schema: Mapping[str, Any]
    strict: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """A passage of a document that the answer may cite by its number."""

    number: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """Further wishes of a client in OpenAI's terms. None leaves the choice to the vendor.

    A vendor that lacks `seed`, `reasoning_effort`, `reasoning_summary` or `verbosity` ignores it. The other options change the answer:
    `Model.check` refuses a model whose vendor lacks one of them. With `parallel_tool_calls=False`, an answer has at most one tool call.
    """

    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Mapping[str, int] | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    reasoning_summary: str | None = None
    verbosity: str | None = None
    parallel_tool_calls: bool | None = None

    def chosen(self, names: Collection[str]) -> dict[str, Any]:
        """Return those of the options `names` that the client has set, with their values."""
        return {name: value for name in sorted(names) if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Thinking:
    """A client's wish for reasoning, in the terms of Anthropic's Messages API. Vendors without these terms ignore it.

    With `display="omitted"`, the answer has the model's thoughts, but not their text.
    """

    mode: ThinkingMode | None = None
    budget_tokens: int | None = None
    display: Literal["summarized", "omitted"] | None = None
    effort: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """The input of a model call: a stable system prompt, then the messages, oldest first.

    `facts`, `passages` of past conversations and `sources` are written into the newest user message (`prompts.py`), after
    the prefix that vendors cache. `task` is the purpose of the answer, for which usage is recorded. Vendors do not receive it: the
    prompt contains the instructions. Only the offline provider, which does not read prompts, answers according to `task`.
    With `client_runs_tools`, a call's arguments are passed on as the model wrote them, for the client to check or repair.
    With `shows_reasoning`, the answer has the text of the model's reasoning where the vendor sends it.
    With `shows_call_deltas`, tool calls also arrive piece by piece where the vendor sends them so.
    With `caches_messages`, vendors that cache only marked prompts are asked to cache the messages, too, not only the stable prefix.
    """

    messages: Sequence[Message]
    system: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    tools: Sequence[ToolDefinition] = ()
    tool_choice: ToolChoice = "auto"
    client_runs_tools: bool = False
    shows_reasoning: bool = False
    shows_call_deltas: bool = False
    options: GenerationOptions = GenerationOptions()
    thinking: Thinking | None = None
    caches_messages: bool = False
    output: OutputSchema | None = None
    facts: Sequence[str] = ()
    passages: Sequence[str] = ()
    sources: Sequence[Source] = ()
    task: Task = "chat"


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that the provider counted, or our estimate if it did not report them.

    `cached_input_tokens` were read from the vendor's cache and `cache_write_tokens` written to it; both are included in
    `input_tokens`. `reasoning_tokens` are included in `output_tokens`.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    is_estimated: bool = False
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of visible text. With `is_refusal`, the model says why it does not answer."""

    text: str
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of the model's reasoning as text, for people. `Thought` is its form for the model.

    For a request that does not show reasoning, the text is empty: the event says only that the model works.
    """

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """The next piece of the arguments of the call number `index`; its first piece may be empty.

    The whole calls follow as `ToolCall`s once the answer has ended, unless it is incomplete.
    """

    index: int
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete. Always the last event of a stream. `stop_sequence` is the client's sequence that ended it, if any."""

    reason: FinishReason
    usage: Usage = field(default_factory=Usage)
    stop_sequence: str | None = None


type ModelEvent = TextDelta | ReasoningDelta | ToolCallDelta | Thought | ToolCall | Finished
