"""A question with its options, and the history that precedes it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Connection

from functions.chat.errors import NothingToRegenerate
from parley.db import messages
from parley.db.conversations import Conversation
from parley.db.messages import HistoryMessage, Window
from parley.db.turn.message_parts import MessagePart
from parley.errors import NotFound
from parley.ids import new_id
from parley.llm.messages import Image, OutputSchema
from parley.memory.window import MAX_MESSAGES


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
    is_regeneration: bool = False
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
    def restore(cls, text: str, images: Sequence[MessagePart], conversation_id: UUID, options: Mapping[str, Any]) -> Self:
        """Make a stored question again, with the options that were kept."""
        output = options.get("output")
        written = {"output": OutputSchema(**output) if output else None, "images": images}
        return cls(text, conversation_id, **dict(options) | written)


def default_title(text: str, *, limit: int = 60) -> str | None:
    """Return a title for a conversation that begins with `text`: its beginning on one line; None if it is blank."""
    line = " ".join(text.split())
    return (line if len(line) <= limit else line[: limit - 1].rstrip() + "…") or None


@dataclass(frozen=True, slots=True)
class QuestionWithHistory:
    """A question whose text is known, its message's id, the messages before it, oldest first, and what was said so far in short.

    `is_cut` says that there may be messages before those.
    """

    question: Question
    message_id: UUID
    history: Sequence[HistoryMessage]
    summary: str | None = None
    is_history_truncated: bool = False


def add_history(connection: Connection, conversation: Conversation | None, question: Question, *, user_id: UUID) -> QuestionWithHistory:
    """Put a question behind what its conversation has; one that is asked anew stands there already.

    Raises NothingToRegenerate.
    """
    window = Window([], None)
    if conversation:
        window = messages.window(connection, conversation.id, user_id=user_id, limit=MAX_MESSAGES)
    return (
        _last_question(window, question)
        if question.is_regeneration
        else QuestionWithHistory(question, new_id(), window.history, window.summary, _is_history_truncated(window))
    )


def load_question(
    connection: Connection, conversation: Conversation, message_id: UUID, options: Mapping[str, Any], *, user_id: UUID
) -> QuestionWithHistory:
    """Find a question again that was asked with these options, while its turn paused. Raises NotFound."""
    window = messages.window(connection, conversation.id, user_id=user_id, limit=MAX_MESSAGES)
    for place, message in enumerate(window.history):
        if message.id == message_id:
            asked = Question.restore(message.text, message.images, conversation.id, options)
            return QuestionWithHistory(asked, message_id, window.history[:place], window.summary, _is_history_truncated(window))
    raise NotFound("message", message_id)


def _is_history_truncated(window: Window) -> bool:
    return len(window.history) >= MAX_MESSAGES


def _last_question(window: Window, question: Question) -> QuestionWithHistory:
    """Find the last question, answered or not."""
    history = window.history
    for place in reversed(range(len(history))):
        if history[place].role == "user":
            asked = replace(question, text=history[place].text, images=history[place].images)
            return QuestionWithHistory(asked, history[place].id, history[:place], window.summary, _is_history_truncated(window))
    raise NothingToRegenerate(f"conversation {question.conversation_id}")
