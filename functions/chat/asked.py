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
from parley.db.messages import Spoken, Window
from parley.errors import NotFound
from parley.ids import new_id
from parley.memory.window import MOST_MESSAGES


@dataclass(frozen=True, slots=True)
class Asked:
    """A question whose text is known, its message's id, the messages before it, oldest first, and what was said so far in short.

    `is_cut` says that there may be messages before those.
    """

    question: Question
    message_id: UUID
    earlier: Sequence[Spoken]
    summary: str | None = None
    is_cut: bool = False


def asked_in(connection: Connection, conversation: Conversation | None, question: Question, *, user_id: UUID) -> Asked:
    """Put a question behind what its conversation has; one that is asked anew stands there already.

    Raises NothingToRegenerate.
    """
    window = Window([], None)
    if conversation:
        window = messages.window(connection, conversation.id, user_id=user_id, limit=MOST_MESSAGES)
    return _last(window, question) if question.is_anew else Asked(question, new_id(), window.spoken, window.summary, _is_cut(window))


def asked_before(
    connection: Connection, conversation: Conversation, message_id: UUID, options: Mapping[str, Any], *, user_id: UUID
) -> Asked:
    """Find a question again that was asked with these options, while its turn paused. Raises NotFound."""
    window = messages.window(connection, conversation.id, user_id=user_id, limit=MOST_MESSAGES)
    for place, message in enumerate(window.spoken):
        if message.id == message_id:
            asked = Question.again(message.text, message.images, conversation.id, options)
            return Asked(asked, message_id, window.spoken[:place], window.summary, _is_cut(window))
    raise NotFound("message", message_id)


def _is_cut(window: Window) -> bool:
    return len(window.spoken) >= MOST_MESSAGES


def _last(window: Window, question: Question) -> Asked:
    """Find the last question, answered or not."""
    spoken = window.spoken
    for place in reversed(range(len(spoken))):
        if spoken[place].role == "user":
            asked = replace(question, text=spoken[place].text, images=spoken[place].images)
            return Asked(asked, spoken[place].id, spoken[:place], window.summary, _is_cut(window))
    raise NothingToRegenerate(f"conversation {question.conversation_id}")
