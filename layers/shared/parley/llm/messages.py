"""Messages, requests and stream events of a model call, in no vendor's format.

A tool round is the assistant's message with the `ToolCall`s (and the `Thought`s beside them, unchanged and in order),
then one message of the role `tool` with all their `ToolResult`s.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from parley.errors import InvalidInput

_DATA_URL = re.compile(r"data:(image/(?:png|jpeg|gif|webp));base64,", re.IGNORECASE)
# How files of each type begin: a vendor is told a type, and refuses an image of another.
_MAGIC_BYTES = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}


@dataclass(frozen=True, slots=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: PNG, JPEG, GIF or WebP."""

    media_type: str
    data: bytes

    @classmethod
    def from_data_url(cls, url: str) -> Self:
        """Read `data:image/…;base64,…`. Raises InvalidInput for anything else: no vendor shall fetch an address for us."""
        match = _DATA_URL.match(url)
        try:
            if not match:
                raise ValueError("not an image")
            media_type, content = match[1].lower(), base64.b64decode(url[match.end() :], validate=True)
            if not _MAGIC_BYTES[media_type].match(content):
                raise ValueError(f"not {media_type}")
            return cls(media_type, content)
        except (ValueError, binascii.Error) as exc:
            raise InvalidInput(
                "an image is a data URL of PNG, JPEG, GIF or WebP in base64, and of the type that it says", loc=("body", "images")
            ) from exc

    @property
    def base64(self) -> str:
        """Return the bytes in base64."""
        return base64.b64encode(self.data).decode()

    @property
    def data_url(self) -> str:
        """Return it as a data URL."""
        return f"data:{self.media_type};base64,{self.base64}"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool; `arguments` is a JSON object as text, checked to be one."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered, or why it could not."""

    call_id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Thought:
    """A model's reasoning, sealed: only its `origin` reads `payload`, and some demand it back with their tool calls.

    `origin` is provider and model name; to every other model a thought is not sent.
    """

    origin: str
    payload: str


type Part = Text | Image | ToolCall | ToolResult | Thought

type Role = Literal["user", "assistant", "tool"]
type FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
type Task = Literal["chat", "title", "summary", "facts", "describe"]
type ToolChoice = Literal["auto", "required", "none"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the context; a plain string is one text."""

    role: Role
    content: str | Sequence[Part]

    @property
    def parts(self) -> tuple[Part, ...]:
        """Return what it is made of."""
        return (Text(self.content),) if isinstance(self.content, str) else tuple(self.content)

    @property
    def text(self) -> str:
        """Return its texts as one."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool that the model may call; `parameters` is the JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The answer shall be one JSON value that keeps to `schema`; `name` is a word of letters, digits, `_` and `-`.

    Some vendors guarantee it for the `strict` subset of JSON schema, and else do their best.
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
class ModelRequest:
    """One call of a model: a stable system prompt, then the messages, oldest first.

    `facts`, `passages` of past conversations and `sources` are written into the newest user message (`grounding.py`), after
    all that vendors cache. `task` says what the answer is for; the words that ask for it are in the prompt, and only the
    offline provider, which reads none, goes by it.
    """

    messages: Sequence[Message]
    system: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    tools: Sequence[ToolDefinition] = ()
    tool_choice: ToolChoice = "auto"
    output: OutputSchema | None = None
    facts: Sequence[str] = ()
    passages: Sequence[str] = ()
    sources: Sequence[Source] = ()
    task: Task = "chat"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them, or our estimate where it did not say.

    `cached_input_tokens` were read from the vendor's cache and `cache_write_tokens` written to it; both are part of
    `input_tokens`.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    is_estimated: bool = False


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of visible text."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole. Always the last event of a stream."""

    reason: FinishReason
    usage: Usage = field(default_factory=Usage)


type ModelEvent = TextDelta | Thought | ToolCall | Finished
