"""What a user asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Question:
    """A question and how to answer it; no `conversation_id` opens a new conversation.

    With `wait`, another turn of the conversation is let end first. `tools` offers all of the user's tools to the model, none,
    or those by name. A new conversation may be incognito: never mined, and nothing recalled in it. With `is_anew` it is
    the conversation's last question, whose text is not known yet.
    """

    text: str
    conversation_id: UUID | None = None
    model: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    wait: bool = False
    is_anew: bool = False
    tools: bool | Sequence[str] = False
    is_incognito: bool = False

    def options(self) -> dict[str, Any]:
        """Return how it is to be answered, as JSON: what a turn that pauses keeps of it."""
        return {"model": self.model, "max_output_tokens": self.max_output_tokens, "temperature": self.temperature, "tools": self.tools}


def title_of(text: str, *, limit: int = 60) -> str | None:
    """Return a title for a conversation that begins with `text`: its beginning on one line; None if it is blank."""
    line = " ".join(text.split())
    return (line if len(line) <= limit else line[: limit - 1].rstrip() + "…") or None
