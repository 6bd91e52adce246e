"""Reads a conversation piece by piece, as lines for a model."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from parley.db import messages
from parley.db.messages import MessageCursor, StoredMessage
from parley.llm.prompts import TranscriptLine
from parley.llm.tokens import BYTES_PER_TOKEN, estimate_tokens

CUT_MARK = " […]"
_MAX_MESSAGES = 100
# Number, speaker and day.
_LINE_PREFIX_TOKENS = 12
LAST_VARIANT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message as a line; a message that would fill more than half of a piece is cut."""

    message: StoredMessage
    line: TranscriptLine


def lines_after(
    connection: Connection, conversation_id: UUID, *, user_id: UUID, after_seq: int, budget_tokens: int, upto_seq: int | None = None
) -> list[MessageLine]:
    """Return the next messages behind `after_seq` that fit the budget, oldest first, and at least one if there is any.

    Raises NotFound.
    """
    after = MessageCursor(after_seq, LAST_VARIANT)
    found = messages.page(connection, conversation_id, user_id=user_id, order="asc", after=after, limit=_MAX_MESSAGES)
    lines: list[MessageLine] = []
    for message in found:
        one = _line_of(message, most_tokens=budget_tokens // 2)
        budget_tokens -= estimate_tokens(one.line.text) + _LINE_PREFIX_TOKENS
        if (upto_seq is not None and message.seq > upto_seq) or (lines and budget_tokens < 0):
            break
        lines.append(one)
    return lines


def _line_of(message: StoredMessage, *, most_tokens: int) -> MessageLine:
    text, most_bytes = message.text, max(most_tokens, 1) * BYTES_PER_TOKEN
    if len(text.encode()) > most_bytes:
        text = text.encode()[:most_bytes].decode(errors="ignore") + CUT_MARK
    return MessageLine(
        message, TranscriptLine(message.seq, "user" if message.role == "user" else "assistant", message.created_at.date(), text)
    )
