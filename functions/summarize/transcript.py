"""Reads a conversation in segments, as transcript lines for a model."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from parley.db import messages
from parley.db.engine import Connection
from parley.db.messages import MessageCursor, StoredMessage
from parley.llm.prompts import TranscriptLine
from parley.llm.tokens import BYTES_PER_TOKEN, estimate_tokens

TRUNCATION_MARK = " […]"
_MAX_MESSAGES = 100
# Room for the number, the speaker and the date of a line.
_LINE_PREFIX_TOKENS = 12
# Sorts after every variant of a message.
LAST_VARIANT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message and its transcript line, which is truncated if it would fill more than half of a segment."""

    message: StoredMessage
    line: TranscriptLine


def lines_after(
    connection: Connection, conversation_id: UUID, *, user_id: UUID, after_seq: int, budget_tokens: int, upto_seq: int | None = None
) -> list[MessageLine]:
    """Return the messages after `after_seq` and up to `upto_seq` that fit the budget, oldest first.

    The first message is always returned, truncated if necessary. Raises NotFound.
    """
    after = MessageCursor(after_seq, LAST_VARIANT)
    page = messages.page(connection, conversation_id, user_id=user_id, order="asc", after=after, limit=_MAX_MESSAGES)
    lines: list[MessageLine] = []
    for message in page:
        line = _line_of(message, max_tokens=budget_tokens // 2)
        budget_tokens -= estimate_tokens(line.line.text) + _LINE_PREFIX_TOKENS
        if (upto_seq is not None and message.seq > upto_seq) or (lines and budget_tokens < 0):
            break
        lines.append(line)
    return lines


def _line_of(message: StoredMessage, *, max_tokens: int) -> MessageLine:
    text = message.text
    max_bytes = max(max_tokens, 1) * BYTES_PER_TOKEN
    if len(text.encode()) > max_bytes:
        text = text.encode()[:max_bytes].decode(errors="ignore") + TRUNCATION_MARK
    speaker: Literal["user", "assistant"] = "user" if message.role == "user" else "assistant"
    return MessageLine(message, TranscriptLine(message.seq, speaker, message.created_at.date(), text))
