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
from parley.db.messages import Spoken
from parley.errors import NotFound
from parley.ids import new_id

WINDOW_MESSAGES = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """A question whose text is known, its message's id and the messages before it, oldest first."""

    question: Question
    message_id: UUID
    earlier: Sequence[Spoken]


def asked_in(connection: Connection, conversation: Conversation | None, question: Question, *, user_id: UUID) -> Asked:
    """Put a question behind what its conversation has; one that is asked anew stands there already.

    Raises NothingToRegenerate.
    """
    window = messages.spoken(connection, conversation.id, user_id=user_id, limit=WINDOW_MESSAGES) if conversation else []
    return _last(window, question) if question.is_anew else Asked(question, new_id(), window)


def asked_before(
    connection: Connection, conversation: Conversation, message_id: UUID, options: Mapping[str, Any], *, user_id: UUID
) -> Asked:
    """Find a question again that was asked with these options, while its turn paused. Raises NotFound."""
    window = messages.spoken(connection, conversation.id, user_id=user_id, limit=WINDOW_MESSAGES)
    for place, message in enumerate(window):
        if message.id == message_id:
            return Asked(Question(message.text, conversation.id, **options), message_id, window[:place])
    raise NotFound("message", message_id)


def _last(window: Sequence[Spoken], question: Question) -> Asked:
    """Find the last question, answered or not."""
    for place in reversed(range(len(window))):
        if window[place].role == "user":
            return Asked(replace(question, text=window[place].text), window[place].id, window[:place])
    raise NothingToRegenerate(f"conversation {question.conversation_id}")
