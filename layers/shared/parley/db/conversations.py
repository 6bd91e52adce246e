"""Conversations, newest activity first."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Connection, delete, func, insert, or_, select, text, tuple_, update

from parley.db import images
from parley.db.tables import conversations
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation. `last_seq` numbers its newest message; 0 means that it has none. An incognito one is never mined for memory."""

    user_id: UUID
    id: UUID
    title: str | None
    model: str | None
    system_prompt: str | None
    last_seq: int
    created_at: datetime
    updated_at: datetime
    is_incognito: bool = False


@dataclass(frozen=True, slots=True)
class Mined:
    """How far a conversation has been read for facts and passages, how far it has been answered, and whether it may be read."""

    upto_seq: int
    answered_seq: int
    is_allowed: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of conversations ended."""

    updated_at: datetime
    id: UUID


_COLUMNS = tuple(conversations.c[field.name] for field in fields(Conversation))


def add(connection: Connection, conversation_id: UUID, *, user_id: UUID, **values: str | bool | None) -> Conversation:
    """Store a new conversation; `values` are title, model, system_prompt and is_incognito."""
    statement = insert(conversations).values(user_id=user_id, id=conversation_id, **values).returning(*_COLUMNS)
    return Conversation(**connection.execute(statement).one()._mapping)


def get(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> Conversation:
    """Return the user's conversation, or raise NotFound."""
    row = connection.execute(select(*_COLUMNS).where(*_mine(conversation_id, user_id))).one_or_none()
    if row is None:
        raise NotFound("conversation", conversation_id)
    return Conversation(**row._mapping)


def page(connection: Connection, *, user_id: UUID, limit: int, after: Place | None) -> list[Conversation]:
    """Return up to `limit` conversations behind `after`, newest activity first."""
    statement = select(*_COLUMNS).where(conversations.c.user_id == user_id)
    if after:
        statement = statement.where(tuple_(conversations.c.updated_at, conversations.c.id) < (after.updated_at, after.id))
    statement = statement.order_by(conversations.c.updated_at.desc(), conversations.c.id.desc()).limit(limit)
    return [Conversation(**row._mapping) for row in connection.execute(statement)]


def change(connection: Connection, conversation_id: UUID, *, user_id: UUID, changes: dict[str, Any]) -> Conversation:
    """Set the given columns and return the conversation, or raise NotFound. The order of the list does not change."""
    if not changes:
        return get(connection, conversation_id, user_id=user_id)
    if "title" in changes:
        changes = changes | {"is_title_automatic": False}
    statement = update(conversations).where(*_mine(conversation_id, user_id)).values(changes).returning(*_COLUMNS)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("conversation", conversation_id)
    return Conversation(**row._mapping)


def is_untitled(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> bool:
    """Whether the conversation has no title, or only the automatic one. Raises NotFound."""
    found = connection.execute(select(_IS_UNTITLED).where(*_mine(conversation_id, user_id))).scalar_one_or_none()
    if found is None:
        raise NotFound("conversation", conversation_id)
    return bool(found)


def entitle(connection: Connection, conversation_id: UUID, *, user_id: UUID, title: str) -> bool:
    """Give the conversation a title in place of the automatic one, or of none; False if it has one of its own."""
    values = {"title": title, "is_title_automatic": False}
    return connection.execute(update(conversations).where(*_mine(conversation_id, user_id), _IS_UNTITLED).values(values)).rowcount == 1


def mined(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> Mined:
    """Return how far the conversation has been answered and read, and whether it may be. Raises NotFound."""
    row = connection.execute(_MINED, {"user_id": user_id, "conversation_id": conversation_id}).one_or_none()
    if row is None:
        raise NotFound("conversation", conversation_id)
    return Mined(**row._mapping)


def mine_upto(connection: Connection, conversation_id: UUID, *, user_id: UUID, seq: int) -> None:
    """Note that the conversation has been read up to a message; never back."""
    values = {"mined_upto_seq": func.greatest(conversations.c.mined_upto_seq, seq)}
    connection.execute(update(conversations).where(*_mine(conversation_id, user_id)).values(values))


def remove(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> None:
    """Delete the conversation with everything in it and the facts that were drawn only from it, or raise NotFound.

    The files of its images go a while later.
    """
    images.order_erasure(connection, conversation_id, user_id=user_id)
    connection.execute(_FORGET, {"user_id": user_id, "conversation_id": conversation_id})
    gone = connection.execute(delete(conversations).where(*_mine(conversation_id, user_id)))
    if gone.rowcount == 0:
        raise NotFound("conversation", conversation_id)


def next_place(conversation_id: UUID, *, user_id: UUID, where: Sequence[ColumnElement[bool]] = ()) -> CTE:
    """Return the part of a statement that takes the next message's number (`last_seq`) and notes the activity, if `where` holds.

    The row stays locked until the transaction ends, so numbers have no gaps: whoever rolls back gives its number back.
    """
    values = {"last_seq": conversations.c.last_seq + 1, "updated_at": func.clock_timestamp()}
    statement = update(conversations).where(*_mine(conversation_id, user_id), *where).values(values)
    return statement.returning(conversations.c.last_seq).cte("place")


_IS_UNTITLED = or_(conversations.c.is_title_automatic, conversations.c.title.is_(None))
_MINED = text(
    """
    SELECT c.mined_upto_seq AS upto_seq, u.memory_enabled AND NOT c.is_incognito AS is_allowed,
           coalesce((SELECT max(m.seq) FROM messages m
                      WHERE m.user_id = c.user_id AND m.conversation_id = c.id AND m.is_active AND m.role = 'assistant'), 0) AS answered_seq
      FROM conversations c JOIN users u ON u.id = c.user_id
     WHERE c.user_id = :user_id AND c.id = :conversation_id
    """
)
_FORGET = text(
    """
    DELETE FROM memories m
     WHERE m.user_id = :user_id AND m.source = 'extracted'
       AND m.id IN (SELECT s.memory_id FROM memory_sources s WHERE s.user_id = :user_id AND s.conversation_id = :conversation_id)
       AND NOT EXISTS (SELECT FROM memory_sources o
                        WHERE o.user_id = :user_id AND o.memory_id = m.id AND o.conversation_id <> :conversation_id)
    """
)


def _mine(conversation_id: UUID, user_id: UUID) -> tuple[Any, Any]:
    return conversations.c.user_id == user_id, conversations.c.id == conversation_id
