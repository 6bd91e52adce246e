"""Assistants shared with groups. A share ends with its assistant, with its group, and when its owner leaves the group."""

from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from parley.db.assistants.assistants import check_owned
from parley.db.groups.shares import Share
from parley.db.tables import assistant_shares, groups
from parley.errors import NotFound


def add(connection: Connection, assistant_id: UUID, group_id: UUID, *, user_id: UUID) -> None:
    """Share the user's own assistant with a group of the user. Sharing again changes nothing. Raises NotFound."""
    check_owned(connection, assistant_id, user_id=user_id)
    values = {"user_id": user_id, "assistant_id": assistant_id, "group_id": group_id}
    try:
        with connection.begin_nested():
            connection.execute(upsert(assistant_shares).values(values).on_conflict_do_nothing())
    except IntegrityError as exc:  # the foreign key to the user's membership
        raise NotFound("group", group_id) from exc


def remove(connection: Connection, assistant_id: UUID, group_id: UUID, *, user_id: UUID) -> None:
    """End the share of the user's own assistant with a group, or raise NotFound."""
    which = (*_of_assistant(assistant_id, user_id), assistant_shares.c.group_id == group_id)
    if connection.execute(delete(assistant_shares).where(*which)).rowcount == 0:
        raise NotFound("group", group_id)


def list_all(connection: Connection, assistant_id: UUID, *, user_id: UUID) -> list[Share]:
    """Return the groups with which the user's own assistant is shared, by name. Raises NotFound."""
    check_owned(connection, assistant_id, user_id=user_id)
    statement = select(groups.c.id.label("group_id"), groups.c.name, assistant_shares.c.created_at)
    statement = statement.join(assistant_shares, assistant_shares.c.group_id == groups.c.id).where(*_of_assistant(assistant_id, user_id))
    return [Share(**row._mapping) for row in connection.execute(statement.order_by(groups.c.name, groups.c.id))]


def _of_assistant(assistant_id: UUID, user_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return assistant_shares.c.user_id == user_id, assistant_shares.c.assistant_id == assistant_id
