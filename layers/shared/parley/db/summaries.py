"""Summaries: what was said in a conversation up to a message, so that a model need not read it all."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class Summary:
    """What was said up to and with message number `upto_seq`; `model` wrote it."""

    upto_seq: int
    text: str
    model: str
    tokens: int
    created_at: datetime


def newest(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> Summary | None:
    """Return the conversation's summary that reaches furthest, None if there is none yet."""
    row = connection.execute(_NEWEST, {"user_id": user_id, "conversation_id": conversation_id}).one_or_none()
    return Summary(**row._mapping) if row else None


def get(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> Summary:
    """Return the conversation's summary, or raise NotFound."""
    found = newest(connection, conversation_id, user_id=user_id)
    if found is None:
        raise NotFound("summary of conversation", conversation_id)
    return found


def put(connection: Connection, conversation_id: UUID, *, user_id: UUID, upto_seq: int, text: str, model: str, tokens: int) -> bool:
    """Store a summary in place of those that reach less far; False if one reaches as far, or the conversation is gone."""
    values = {"upto_seq": upto_seq, "text": text, "model": model, "tokens": tokens}
    row = connection.execute(_PUT, {"user_id": user_id, "conversation_id": conversation_id} | values).one_or_none()
    return row is not None


_NEWEST = text(
    """
    SELECT upto_seq, text, model, tokens, created_at FROM summaries
     WHERE user_id = :user_id AND conversation_id = :conversation_id ORDER BY upto_seq DESC LIMIT 1
    """
)
_PUT = text(
    """
    WITH made AS (
            INSERT INTO summaries (user_id, conversation_id, upto_seq, text, model, tokens)
            SELECT c.user_id, c.id, CAST(:upto_seq AS integer), CAST(:text AS text), CAST(:model AS text), CAST(:tokens AS integer)
              FROM conversations c
             WHERE c.user_id = :user_id AND c.id = :conversation_id
               AND NOT EXISTS (SELECT FROM summaries s WHERE s.user_id = c.user_id AND s.conversation_id = c.id AND s.upto_seq >= :upto_seq)
            ON CONFLICT (user_id, conversation_id, upto_seq) DO NOTHING
            RETURNING user_id, conversation_id, upto_seq
         ),
         gone AS (
            DELETE FROM summaries s USING made
             WHERE s.user_id = made.user_id AND s.conversation_id = made.conversation_id AND s.upto_seq < made.upto_seq
         )
    SELECT upto_seq FROM made
    """
)
