"""Objects shared with groups, and the names of the people who share them.

A share ends with its object, with its group, and when its owner leaves the group: foreign keys delete it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Table, Uuid, and_, column, delete, func, or_, select, text, union_all
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from parley.db.tables import assistant_shares, assistants, document_shares, documents, groups, prompt_shares, prompts
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class Sharable:
    """A kind of object that its owner can share with groups: the table of the objects, and the table of their shares."""

    noun: str
    objects: Table
    shares: Table

    def of_object(self, object_id: UUID, user_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        """Return the conditions for the shares of the user's object."""
        return self.shares.c.user_id == user_id, self.shares.c[f"{self.noun}_id"] == object_id


DOCUMENTS = Sharable("document", documents, document_shares)
ASSISTANTS = Sharable("assistant", assistants, assistant_shares)
PROMPTS = Sharable("prompt", prompts, prompt_shares)


@dataclass(frozen=True, slots=True)
class Share:
    """A group with which an object is shared."""

    group_id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Fellow:
    """A user who is in a group with the transaction's user."""

    id: UUID
    email: str
    display_name: str | None


def add(connection: Connection, sharable: Sharable, object_id: UUID, group_id: UUID, *, user_id: UUID) -> None:
    """Share the user's own object with a group of the user. Sharing again changes nothing. Raises NotFound."""
    check_owned(connection, sharable, object_id, user_id=user_id)
    values = {"user_id": user_id, f"{sharable.noun}_id": object_id, "group_id": group_id}
    try:
        with connection.begin_nested():
            connection.execute(upsert(sharable.shares).values(values).on_conflict_do_nothing())
    except IntegrityError as exc:  # the foreign key to the user's membership
        raise NotFound("group", group_id) from exc


def remove(connection: Connection, sharable: Sharable, object_id: UUID, group_id: UUID, *, user_id: UUID) -> None:
    """End the share of the user's own object with a group, or raise NotFound."""
    which = (*sharable.of_object(object_id, user_id), sharable.shares.c.group_id == group_id)
    if connection.execute(delete(sharable.shares).where(*which)).rowcount == 0:
        raise NotFound("group", group_id)


def list_all(connection: Connection, sharable: Sharable, object_id: UUID, *, user_id: UUID) -> list[Share]:
    """Return the groups with which the user's own object is shared, by name. Raises NotFound."""
    check_owned(connection, sharable, object_id, user_id=user_id)
    statement = select(groups.c.id.label("group_id"), groups.c.name, sharable.shares.c.created_at)
    statement = statement.join(sharable.shares, sharable.shares.c.group_id == groups.c.id).where(*sharable.of_object(object_id, user_id))
    return [Share(**row._mapping) for row in connection.execute(statement.order_by(groups.c.name, groups.c.id))]


def check_owned(connection: Connection, sharable: Sharable, object_id: UUID, *, user_id: UUID) -> None:
    """Raise NotFound unless the user owns the object."""
    objects = sharable.objects
    statement = select(objects.c.id).where(objects.c.user_id == user_id, objects.c.id == object_id)
    if connection.execute(statement).one_or_none() is None:
        raise NotFound(sharable.noun, object_id)


def owners(connection: Connection, owner_ids: Iterable[UUID], *, user_id: UUID) -> dict[UUID, Fellow]:
    """Return those of the owners, other than the user, who are in a group with the transaction's user, by id."""
    others = set(owner_ids) - {user_id}
    return fellows(connection, others) if others else {}


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


_OF_GROUPS = func.parley_group_documents().table_valued(column("user_id", Uuid), column("document_id", Uuid))
_FELLOWS = text("SELECT id, email, display_name FROM parley_fellows() WHERE id = ANY(CAST(:ids AS uuid[]))")
