"""What goes to a model and what comes back, in no vendor's words.

`parts.py` has what messages are made of. A tool round is: the assistant's message with the `ToolCall`s (and the
`Thought`s beside them, unchanged and in order), then one message of the role `tool` with all their `ToolResult`s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from parley.llm.parts import Image, Part, Text, Thought, ToolCall, ToolResult

__all__ = [
    "Event",
    "FinishReason",
    "Finished",
    "Image",
    "Message",
    "OutputSchema",
    "Part",
    "Request",
    "Role",
    "Source",
    "Task",
    "Text",
    "TextDelta",
    "Thought",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolResult",
    "Usage",
]

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
class Tool:
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
class Request:
    """One call of a model: a stable system prompt, then the messages, oldest first.

    `facts`, `passages` of past conversations and `sources` are written into the newest user message (`grounding.py`), after
    all that vendors cache. `task` says what the answer is for; the words that ask for it are in the prompt, and only the
    offline provider, which reads none, goes by it.
    """

    messages: Sequence[Message]
    system: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    tools: Sequence[Tool] = ()
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


type Event = TextDelta | Thought | ToolCall | Finished
