"""Summaries of conversations: one row for each message up to which one was written."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.db.tables import summaries
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class Summary:
    """What was said in a conversation up to message `upto_seq`."""

    upto_seq: int
    text: str
    model: str
    tokens: int
    created_at: datetime


_COLUMNS = tuple(summaries.c[field.name] for field in fields(Summary))


def add(connection: Connection, conversation_id: UUID, *, user_id: UUID, upto_seq: int, text: str, model: str, tokens: int) -> bool:
    """Store a summary; False if there is one up to that message already, which stays."""
    values = {"user_id": user_id, "conversation_id": conversation_id, "upto_seq": upto_seq, "text": text, "model": model, "tokens": tokens}
    return connection.execute(upsert(summaries).values(values).on_conflict_do_nothing()).rowcount == 1


def newest(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> Summary | None:
    """Return the conversation's newest summary, None without one."""
    where = (summaries.c.user_id == user_id, summaries.c.conversation_id == conversation_id)
    row = connection.execute(select(*_COLUMNS).where(*where).order_by(summaries.c.upto_seq.desc()).limit(1)).one_or_none()
    return Summary(**row._mapping) if row else None


def get(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> Summary:
    """Return the conversation's newest summary, or raise NotFound."""
    found = newest(connection, conversation_id, user_id=user_id)
    if found is None:
        raise NotFound("summary", conversation_id)
    return found
