"""A question with its options, and the history that precedes it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self
from uuid import UUID

from functions.chat.errors import NothingToRegenerate
from parley.db import messages
from parley.db.conversations import Conversation
from parley.db.engine import Connection
from parley.db.messages import HistoryMessage, Window
from parley.db.turn.message_parts import MessagePart
from parley.errors import NotFound
from parley.ids import new_id
from parley.llm.messages import Image, OutputSchema
from parley.memory.window import MAX_MESSAGES


@dataclass(frozen=True, slots=True)
class Question:
    """A question and how to answer it. Without `conversation_id` it opens a new conversation.

    `wait` lets another turn of the conversation end first. `tools` offers the model all of the user's tools, none, or those named.
    `documents` searches all documents that the user may read, none, or those with these ids. `output` is the schema of the answer.
    `attached` are new images, or ids of earlier ones; once they are stored, `images` has their parts. A new conversation with
    `is_incognito` neither uses nor feeds the user's memory. With `is_regeneration`, the question is the conversation's last one,
    and `text` is not known yet.
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
        """The documents selected by their ids; empty if all or none are searched."""
        return () if isinstance(self.documents, bool) else self.documents

    def options(self) -> dict[str, Any]:
        """Return the options as JSON, for the checkpoint of a turn that pauses."""
        plain = {"model": self.model, "max_output_tokens": self.max_output_tokens, "temperature": self.temperature, "tools": self.tools}
        return plain | {"output": asdict(self.output) if self.output else None, "documents": bool(self.documents)}

    @classmethod
    def restore(cls, text: str, images: Sequence[MessagePart], conversation_id: UUID, options: Mapping[str, Any]) -> Self:
        """Return a stored question with the options of a checkpoint."""
        output = options.get("output")
        restored = {"output": OutputSchema(**output) if output else None, "images": images}
        return cls(text, conversation_id, **dict(options) | restored)


def default_title(text: str, *, limit: int = 60) -> str | None:
    """Return the title of a conversation that begins with `text`: its start, on one line. None if `text` is blank."""
    line = " ".join(text.split())
    return (line if len(line) <= limit else line[: limit - 1].rstrip() + "…") or None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionWithHistory:
    """A question whose text is known, the id of its message, the messages before it, oldest first, and their summary.

    `is_history_truncated` means that the conversation may have messages before `history`.
    """

    question: Question
    message_id: UUID
    history: Sequence[HistoryMessage]
    summary: str | None = None
    is_history_truncated: bool = False


def add_history(connection: Connection, conversation: Conversation | None, question: Question, *, user_id: UUID) -> QuestionWithHistory:
    """Return the question with the conversation's history. A regenerated question is read from that history.

    Raises NothingToRegenerate.
    """
    window = Window([], None)
    if conversation:
        window = messages.window(connection, conversation.id, user_id=user_id, limit=MAX_MESSAGES)
    if question.is_regeneration:
        return _last_question(window, question)
    return _with_window(question, new_id(), window, len(window.history))


def load_question(
    connection: Connection, conversation: Conversation, message_id: UUID, options: Mapping[str, Any], *, user_id: UUID
) -> QuestionWithHistory:
    """Return the stored question of a paused turn, with the options of its checkpoint. Raises NotFound."""
    window = messages.window(connection, conversation.id, user_id=user_id, limit=MAX_MESSAGES)
    for position, message in enumerate(window.history):
        if message.id == message_id:
            question = Question.restore(message.text, message.images, conversation.id, options)
            return _with_window(question, message_id, window, position)
    raise NotFound("message", message_id)


def _last_question(window: Window, question: Question) -> QuestionWithHistory:
    """Return the conversation's last question, answered or not."""
    for position, message in reversed(list(enumerate(window.history))):
        if message.role == "user":
            return _with_window(replace(question, text=message.text, images=message.images), message.id, window, position)
    raise NothingToRegenerate(f"conversation {question.conversation_id}")


def _with_window(question: Question, message_id: UUID, window: Window, position: int) -> QuestionWithHistory:
    """Return the question with the part of the window before `position`."""
    return QuestionWithHistory(
        question=question,
        message_id=message_id,
        history=window.history[:position],
        summary=window.summary,
        is_history_truncated=len(window.history) >= MAX_MESSAGES,
    )
