"""What a user asks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self
from uuid import UUID

from parley.db.turn.message_parts import MessagePart
from parley.llm.messages import Image, OutputSchema


@dataclass(frozen=True, slots=True)
class Question:
    """A question and how to answer it; no `conversation_id` opens a new conversation.

    With `wait`, another turn of the conversation is let end first. `tools` offers all of the user's tools to the model, none,
    or those by name. `documents` asks all that the user may read for sources, none, or those by their ids. `output` is how the
    answer shall be written. `attached` are images that come with it, or the ids of earlier ones; once they are stored, `images`
    has their parts. A new conversation may be incognito: never mined, and nothing recalled in it. With
    `is_anew` it is the conversation's last question, whose text is not known yet.
    """

    text: str
    conversation_id: UUID | None = None
    model: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    wait: bool = False
    is_anew: bool = False
    tools: bool | Sequence[str] = False
    output: OutputSchema | None = None
    attached: Sequence[Image | UUID] = ()
    images: Sequence[MessagePart] = ()
    is_incognito: bool = False
    documents: bool | Sequence[UUID] = False

    @property
    def named_documents(self) -> Sequence[UUID]:
        """The documents that are asked for by their ids."""
        return () if isinstance(self.documents, bool) else self.documents

    def options(self) -> dict[str, Any]:
        """Return how it is to be answered, as JSON: what a turn that pauses keeps of it."""
        plain = {"model": self.model, "max_output_tokens": self.max_output_tokens, "temperature": self.temperature, "tools": self.tools}
        return plain | {"output": asdict(self.output) if self.output else None, "documents": bool(self.documents)}

    @classmethod
    def again(cls, text: str, images: Sequence[MessagePart], conversation_id: UUID, options: Mapping[str, Any]) -> Self:
        """Make a stored question again, with the options that were kept."""
        output = options.get("output")
        written = {"output": OutputSchema(**output) if output else None, "images": images}
        return cls(text, conversation_id, **dict(options) | written)


def title_of(text: str, *, limit: int = 60) -> str | None:
    """Return a title for a conversation that begins with `text`: its beginning on one line; None if it is blank."""
    line = " ".join(text.split())
    return (line if len(line) <= limit else line[: limit - 1].rstrip() + "…") or None
