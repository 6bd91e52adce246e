"""A question in its place: what was said before it, and which message it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from functions.chat.errors import NothingToRegenerate
from functions.chat.question import Question
from parley.db import messages
from parley.db.conversations import Conversation
from parley.db.messages import HistoryMessage, Window
from parley.errors import NotFound
from parley.ids import new_id
from parley.memory.window import MAX_MESSAGES


@dataclass(frozen=True, slots=True)
class Asked:
    """A question whose text is known, its message's id, the messages before it, oldest first, and what was said so far in short.

    `is_cut` says that there may be messages before those.
    """

    question: Question
    message_id: UUID
    earlier: Sequence[HistoryMessage]
    summary: str | None = None
    is_cut: bool = False


def asked_in(connection: Connection, conversation: Conversation | None, question: Question, *, user_id: UUID) -> Asked:
    """Put a question behind what its conversation has; one that is asked anew stands there already.

    Raises NothingToRegenerate.
    """
    window = Window([], None)
    if conversation:
        window = messages.window(connection, conversation.id, user_id=user_id, limit=MAX_MESSAGES)
    return _last(window, question) if question.is_anew else Asked(question, new_id(), window.history, window.summary, _is_cut(window))


def asked_before(
    connection: Connection, conversation: Conversation, message_id: UUID, options: Mapping[str, Any], *, user_id: UUID
) -> Asked:
    """Find a question again that was asked with these options, while its turn paused. Raises NotFound."""
    window = messages.window(connection, conversation.id, user_id=user_id, limit=MAX_MESSAGES)
    for place, message in enumerate(window.history):
        if message.id == message_id:
            asked = Question.again(message.text, message.images, conversation.id, options)
            return Asked(asked, message_id, window.history[:place], window.summary, _is_cut(window))
    raise NotFound("message", message_id)


def _is_cut(window: Window) -> bool:
    return len(window.history) >= MAX_MESSAGES


def _last(window: Window, question: Question) -> Asked:
    """Find the last question, answered or not."""
    history = window.history
    for place in reversed(range(len(history))):
        if history[place].role == "user":
            asked = replace(question, text=history[place].text, images=history[place].images)
            return Asked(asked, history[place].id, history[:place], window.summary, _is_cut(window))
    raise NothingToRegenerate(f"conversation {question.conversation_id}")
