"""What a user asks."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Question:
    """A question and how to answer it; no `conversation_id` opens a new conversation."""

    text: str
    conversation_id: UUID | None = None
    model: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
