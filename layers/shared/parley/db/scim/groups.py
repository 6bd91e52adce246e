"""Groups that the identity provider manages. They have members and no owner.

Every function requires the background role, but `leave_all`, which happens on behalf of the user.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, exists, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from parley.db.groups.pools import PaidByAnotherGroup
from parley.db.scim.conditions import Condition, all_of
from parley.db.tables import group_members, groups, users

_OF_PROVIDER = groups.c.is_managed
_COLUMNS = (
    groups.c.id,
    groups.c.name,
    groups.c.external_id,
    groups.c.created_at,
    func.coalesce(groups.c.updated_at, groups.c.created_at).label("updated_at"),
)
_FIELDS = {"id": groups.c.id, "name": groups.c.name, "external_id": groups.c.external_id}


@dataclass(frozen=True, slots=True)
class ScimGroup:
    """A managed group, without its members."""

    id: UUID
    name: str
    external_id: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ScimMember:
    """A member of a managed group."""

    group_id: UUID
    id: UUID
    name: str


def page(
    connection: Connection, conditions: Sequence[Condition], *, offset: int, limit: int, member: UUID | None = None
) -> list[ScimGroup]:
    """Return up to `limit` managed groups that fulfil the conditions, oldest first; with `member`, only those of this user."""
    statement = select(*_COLUMNS).where(_OF_PROVIDER, *all_of(conditions, _FIELDS), *_with(member))
    rows = connection.execute(statement.order_by(groups.c.id).offset(offset).limit(limit))
    return [ScimGroup(**row._mapping) for row in rows]


def count(connection: Connection, conditions: Sequence[Condition], *, member: UUID | None = None) -> int:
    """Return the number of managed groups that fulfil the conditions."""
    statement = select(func.count()).select_from(groups).where(_OF_PROVIDER, *all_of(conditions, _FIELDS), *_with(member))
    return connection.execute(statement).scalar_one()


def members(connection: Connection, group_ids: Collection[UUID]) -> list[ScimMember]:
    """Return the members of these groups, those of longest standing first."""
    columns = (group_members.c.group_id, users.c.id, func.coalesce(users.c.display_name, users.c.email).label("name"))
    statement = select(*columns).join(users, users.c.id == group_members.c.user_id).where(group_members.c.group_id.in_(group_ids))
    rows = connection.execute(statement.order_by(group_members.c.created_at, group_members.c.user_id))
    return [ScimMember(**row._mapping) for row in rows]


def count_members(connection: Connection, group_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return the numbers of members of those of these groups that have any."""
    statement = select(group_members.c.group_id, func.count()).where(group_members.c.group_id.in_(group_ids))
    return {row[0]: row[1] for row in connection.execute(statement.group_by(group_members.c.group_id))}


def add(connection: Connection, group_id: UUID, *, name: str, external_id: str | None) -> None:
    """Store a managed group without members."""
    connection.execute(insert(groups).values(id=group_id, name=name, external_id=external_id, is_managed=True))


def change(connection: Connection, group_id: UUID, *, name: str, external_id: str | None) -> None:
    """Set the name and the external id of a managed group, and when it was changed."""
    values = {"name": name, "external_id": external_id, "updated_at": func.now()}
    connection.execute(update(groups).where(groups.c.id == group_id, _OF_PROVIDER).values(values))


def remove(connection: Connection, group_id: UUID) -> None:
    """Delete a managed group with its members and shares."""
    connection.execute(delete(groups).where(groups.c.id == group_id, _OF_PROVIDER))


def add_members(connection: Connection, group_id: UUID, user_ids: Collection[UUID]) -> tuple[set[UUID], set[UUID]]:
    """Add users to a managed group. Return those who were no members before, and those of the ids that name no account.

    Raises PaidByAnotherGroup if this group and another one of a user have a budget.
    """
    values = {"group_id": group_id, "ids": list(user_ids)}
    try:
        with connection.begin_nested():
            known = {row.id: row.is_new for row in connection.execute(_ADD_MEMBERS, values)}
    except IntegrityError as exc:
        raise PaidByAnotherGroup(f"a new member of group {group_id} is in another group with a budget") from exc
    return {id for id, is_new in known.items() if is_new}, set(user_ids) - known.keys()


def remove_members(connection: Connection, group_id: UUID, user_ids: Collection[UUID]) -> set[UUID]:
    """Remove these users from a managed group, and return those who were members."""
    which = (group_members.c.group_id == group_id, group_members.c.user_id.in_(user_ids))
    return set(connection.execute(delete(group_members).where(*which).returning(group_members.c.user_id)).scalars())


def keep_members(connection: Connection, group_id: UUID, user_ids: Collection[UUID]) -> set[UUID]:
    """Remove all users but these from a managed group, and return them. What those who stay have shared with the group stays shared."""
    which = (group_members.c.group_id == group_id, group_members.c.user_id.not_in(user_ids))
    return set(connection.execute(delete(group_members).where(*which).returning(group_members.c.user_id)).scalars())


def leave_all(connection: Connection, user_id: UUID) -> set[UUID]:
    """Remove a user from all managed groups, in a transaction of this user, and return the ids of these groups."""
    which = (group_members.c.user_id == user_id, group_members.c.group_id.in_(select(groups.c.id).where(_OF_PROVIDER)))
    return set(connection.execute(delete(group_members).where(*which).returning(group_members.c.group_id)).scalars())


def _with(member: UUID | None) -> list[Any]:
    return [exists().where(group_members.c.group_id == groups.c.id, group_members.c.user_id == member)] if member else []


_ADD_MEMBERS = text(
    """
    WITH known AS (
        SELECT u.id FROM users u LEFT JOIN scim_users s ON s.user_id = u.id
         WHERE u.id = ANY(CAST(:ids AS uuid[])) AND s.removed_at IS NULL
    ), added AS (
        INSERT INTO group_members (user_id, group_id, role, pays)
        SELECT known.id, g.id, 'member', g.monthly_budget_usd IS NOT NULL FROM known, groups g WHERE g.id = :group_id AND g.is_managed
        ON CONFLICT (user_id, group_id) DO NOTHING RETURNING user_id
    )
    SELECT known.id, added.user_id IS NOT NULL AS is_new FROM known LEFT JOIN added ON added.user_id = known.id
    """
)
