"""Reads a conversation in segments, as transcript lines for a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from parley.db import messages
from parley.db.engine import Connection
from parley.db.messages import MessageCursor, StoredMessage
from parley.llm.prompts import TranscriptLine
from parley.llm.tokens import BYTES_PER_TOKEN, estimate_tokens
from parley.memory.passages import Utterance

TRUNCATION_MARK = " […]"
_MAX_MESSAGES = 100
# Room for the number, the speaker and the date of a line.
_LINE_PREFIX_TOKENS = 12
# Sorts after every variant of a message.
LAST_VARIANT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class MessageLines:
    """A message and its transcript lines, which are truncated if they would fill more than half of a segment.

    An answer has several lines if the user spoke while it was written.
    """

    message: StoredMessage
    lines: Sequence[TranscriptLine]


def lines_after(
    connection: Connection, conversation_id: UUID, *, user_id: UUID, after_seq: int, budget_tokens: int, upto_seq: int | None = None
) -> list[MessageLines]:
    """Return the messages after `after_seq` and up to `upto_seq` that fit the budget, oldest first.

    The first message is always returned, truncated if necessary. Raises NotFound.
    """
    after = MessageCursor(after_seq, LAST_VARIANT)
    page = messages.page(connection, conversation_id, user_id=user_id, order="asc", after=after, limit=_MAX_MESSAGES)
    found: list[MessageLines] = []
    for message in page:
        lines = _lines_of(message, max_tokens=budget_tokens // 2)
        budget_tokens -= sum(estimate_tokens(line.text) + _LINE_PREFIX_TOKENS for line in lines)
        if (upto_seq is not None and message.seq > upto_seq) or (found and budget_tokens < 0):
            break
        found.append(MessageLines(message, lines))
    return found


def transcript_lines(found: Sequence[MessageLines]) -> list[TranscriptLine]:
    """Return the lines of all messages."""
    return [line for message in found for line in message.lines]


def _lines_of(message: StoredMessage, *, max_tokens: int) -> list[TranscriptLine]:
    lines: list[TranscriptLine] = []
    bytes_left = max(max_tokens, 1) * BYTES_PER_TOKEN
    for utterance in message.utterances or [Utterance(message.role, "")]:
        text = utterance.text
        if (size := len(text.encode())) > bytes_left:
            text = text.encode()[: max(bytes_left, 0)].decode(errors="ignore") + TRUNCATION_MARK
        bytes_left -= size
        speaker: Literal["user", "assistant"] = "user" if utterance.role == "user" else "assistant"
        lines.append(TranscriptLine(message.seq, speaker, message.created_at.date(), text))
    return lines
