"""Documents shared with groups, and the names of the people who share them.

A share ends with its document, with its group, and when its owner leaves the group: foreign keys delete it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Uuid, and_, column, delete, func, or_, select, text, union_all
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from parley.db.tables import document_shares, documents, groups
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class Share:
    """A group with which a document is shared."""

    group_id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Fellow:
    """A user who is in a group with the transaction's user."""

    id: UUID
    email: str
    display_name: str | None


def add(connection: Connection, document_id: UUID, group_id: UUID, *, user_id: UUID) -> None:
    """Share the user's own document with a group of the user. Sharing again changes nothing. Raises NotFound."""
    check_owned(connection, document_id, user_id=user_id)
    values = {"user_id": user_id, "document_id": document_id, "group_id": group_id}
    try:
        with connection.begin_nested():
            connection.execute(upsert(document_shares).values(values).on_conflict_do_nothing())
    except IntegrityError as exc:  # the foreign key to the user's membership
        raise NotFound("group", group_id) from exc


def remove(connection: Connection, document_id: UUID, group_id: UUID, *, user_id: UUID) -> None:
    """End the share of the user's own document with a group, or raise NotFound."""
    which = (*_of_document(document_id, user_id), document_shares.c.group_id == group_id)
    if connection.execute(delete(document_shares).where(*which)).rowcount == 0:
        raise NotFound("group", group_id)


def list_all(connection: Connection, document_id: UUID, *, user_id: UUID) -> list[Share]:
    """Return the groups with which the user's own document is shared, by name. Raises NotFound."""
    check_owned(connection, document_id, user_id=user_id)
    statement = select(groups.c.id.label("group_id"), groups.c.name, document_shares.c.created_at)
    statement = statement.join(document_shares, document_shares.c.group_id == groups.c.id).where(*_of_document(document_id, user_id))
    return [Share(**row._mapping) for row in connection.execute(statement.order_by(groups.c.name, groups.c.id))]


def check_owned(connection: Connection, document_id: UUID, *, user_id: UUID) -> None:
    """Raise NotFound unless the user owns the document."""
    statement = select(documents.c.id).where(documents.c.user_id == user_id, documents.c.id == document_id)
    if connection.execute(statement).one_or_none() is None:
        raise NotFound("document", document_id)


def fellows(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Fellow]:
    """Return those of the users who are in a group with the transaction's user, by id."""
    rows = connection.execute(_FELLOWS, {"ids": list(ids)})
    return {row.id: Fellow(**row._mapping) for row in rows}


def select_readable(columns: Sequence[ColumnElement[Any]], condition: ColumnElement[bool], *, user_id: UUID) -> CompoundSelect[Any]:
    """Select columns of the documents that fulfil `condition` and that the user can read.

    Two selects find their rows by index; one with a third `OR` would scan all users' documents.
    """
    own_or_for_all = select(*columns).where(condition, or_(documents.c.user_id == user_id, documents.c.is_shared))
    is_of_group = and_(documents.c.user_id == _OF_GROUPS.c.user_id, documents.c.id == _OF_GROUPS.c.document_id)
    of_groups = select(*columns).join(_OF_GROUPS, is_of_group).where(condition, documents.c.user_id != user_id, ~documents.c.is_shared)
    return union_all(own_or_for_all, of_groups)


def _of_document(document_id: UUID, user_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return document_shares.c.user_id == user_id, document_shares.c.document_id == document_id


_OF_GROUPS = func.parley_group_documents().table_valued(column("user_id", Uuid), column("document_id", Uuid))
_FELLOWS = text("SELECT id, email, display_name FROM parley_fellows() WHERE id = ANY(CAST(:ids AS uuid[]))")
