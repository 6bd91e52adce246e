"""What a user asks."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Question:
    """A question and how to answer it; no `conversation_id` opens a new conversation. With `wait`, another
    turn of the conversation is let end first. With `is_anew` it is the conversation's last question, whose text is not known yet."""

    text: str
    conversation_id: UUID | None = None
    model: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    wait: bool = False
    is_anew: bool = False


def title_of(text: str, *, limit: int = 60) -> str | None:
    """Return a title for a conversation that begins with `text`: its beginning on one line; None if it is blank."""
    line = " ".join(text.split())
    return (line if len(line) <= limit else line[: limit - 1].rstrip() + "…") or None
