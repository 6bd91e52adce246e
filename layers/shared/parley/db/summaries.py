"""Summaries of conversations. In a prompt, a summary replaces the older messages."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select, text

from parley.db.tables import summaries
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary of a conversation's messages up to number `upto_seq`."""

    upto_seq: int
    text: str
    model: str
    tokens: int
    created_at: datetime


_COLUMNS = tuple(summaries.c[field.name] for field in fields(Summary))


def add(connection: Connection, conversation_id: UUID, *, user_id: UUID, upto_seq: int, text: str, model: str, tokens: int) -> bool:
    """Store a summary and delete the conversation's older summaries.

    Returns False, and stores nothing, if a stored summary already covers `upto_seq` or the conversation is deleted.
    """
    values = {"upto_seq": upto_seq, "text": text, "model": model, "tokens": tokens}
    return connection.execute(_ADD, {"user_id": user_id, "conversation_id": conversation_id} | values).one_or_none() is not None


def newest(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> Summary | None:
    """Return the conversation's newest summary, or None."""
    which = (summaries.c.user_id == user_id, summaries.c.conversation_id == conversation_id)
    row = connection.execute(select(*_COLUMNS).where(*which).order_by(summaries.c.upto_seq.desc()).limit(1)).one_or_none()
    return Summary(**row._mapping) if row else None


def get(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> Summary:
    """Return the conversation's newest summary, or raise NotFound."""
    summary = newest(connection, conversation_id, user_id=user_id)
    if summary is None:
        raise NotFound("summary", conversation_id)
    return summary


def lacking_tokens(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> int:
    """Return the estimated tokens of the active messages after the conversation's summary."""
    return int(connection.execute(_LACKING_TOKENS, {"user_id": user_id, "conversation_id": conversation_id}).scalar_one())


# Ten tokens for the speaker and the date of each message.
_LACKING_TOKENS = text(
    """
    SELECT coalesce(sum(m.tokens + 10), 0) FROM messages m
     WHERE m.user_id = :user_id AND m.conversation_id = :conversation_id AND m.is_active
       AND m.seq > coalesce((SELECT max(s.upto_seq) FROM summaries s
                              WHERE s.user_id = m.user_id AND s.conversation_id = m.conversation_id), 0)
    """
)
_ADD = text(
    """
    WITH added AS (
            INSERT INTO summaries (user_id, conversation_id, upto_seq, text, model, tokens)
            SELECT c.user_id, c.id, CAST(:upto_seq AS integer), CAST(:text AS text), CAST(:model AS text), CAST(:tokens AS integer)
              FROM conversations c
             WHERE c.user_id = :user_id AND c.id = :conversation_id
               AND NOT EXISTS (SELECT FROM summaries s WHERE s.user_id = c.user_id AND s.conversation_id = c.id AND s.upto_seq >= :upto_seq)
            ON CONFLICT (user_id, conversation_id, upto_seq) DO NOTHING
            RETURNING user_id, conversation_id, upto_seq
         ),
         deleted AS (
            DELETE FROM summaries s USING added
             WHERE s.user_id = added.user_id AND s.conversation_id = added.conversation_id AND s.upto_seq < added.upto_seq
         )
    SELECT upto_seq FROM added
    """
)
