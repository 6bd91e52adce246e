"""Conversations, newest activity first."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields as fields_of
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Connection, delete, func, insert, or_, select, tuple_, update

from parley.db.tables import conversations
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation. `last_seq` numbers its newest message; 0 means that it has none."""

    user_id: UUID
    id: UUID
    title: str | None
    model: str | None
    system_prompt: str | None
    last_seq: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of conversations ended."""

    updated_at: datetime
    id: UUID


def add(connection: Connection, conversation_id: UUID, *, user_id: UUID, **fields: str | None) -> Conversation:
    """Store a new conversation; `fields` are title, model and system_prompt."""
    statement = insert(conversations).values(user_id=user_id, id=conversation_id, **fields).returning(*_COLUMNS)
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


def entitle(connection: Connection, conversation_id: UUID, *, user_id: UUID, title: str) -> bool:
    """Give the conversation a title in place of the automatic one, or of none; False if it has one of its own."""
    is_untitled = or_(conversations.c.is_title_automatic, conversations.c.title.is_(None))
    values = {"title": title, "is_title_automatic": False}
    return connection.execute(update(conversations).where(*_mine(conversation_id, user_id), is_untitled).values(values)).rowcount == 1


def remove(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> None:
    """Delete the conversation with everything in it, or raise NotFound."""
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


_COLUMNS = [conversations.c[field.name] for field in fields_of(Conversation)]


def _mine(conversation_id: UUID, user_id: UUID) -> tuple[Any, Any]:
    return conversations.c.user_id == user_id, conversations.c.id == conversation_id
