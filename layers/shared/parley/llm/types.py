"""What goes to a model and what comes back, in no vendor's words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

type Role = Literal["user", "assistant"]
type FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the context, text only so far."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a model: a stable system prompt, then the messages, oldest first."""

    messages: Sequence[Message]
    system: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them. `cached_input_tokens` are part of `input_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of visible text."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole. Always the last event of a stream."""

    reason: FinishReason
    usage: Usage = field(default_factory=Usage)


type Event = TextDelta | Finished
