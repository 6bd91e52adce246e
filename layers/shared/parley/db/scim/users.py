"""Accounts as the identity provider sees and writes them.

Reading requires the background role; writing happens on behalf of the account's user. An account that the provider has not written
yet is shown with its address as its user name, so that the provider finds it and takes it over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, Connection, func, select, union_all, update
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.db.scim.conditions import Condition, all_of
from parley.db.tables import credentials, scim_users, users


@dataclass(frozen=True, slots=True)
class ScimUser:
    """An account. `is_verified` is whether its owner or the provider has proven the address, `is_provisioned` whether the provider
    has written it.
    """

    id: UUID
    user_name: str
    external_id: str | None
    email: str
    display_name: str | None
    given_name: str | None
    family_name: str | None
    role: str
    is_active: bool
    is_verified: bool
    is_provisioned: bool
    created_at: datetime
    updated_at: datetime


_user_name = func.coalesce(scim_users.c.user_name, users.c.email)
_is_active = users.c.disabled_at.is_(None)
_COLUMNS = (
    users.c.id,
    _user_name.label("user_name"),
    scim_users.c.external_id,
    users.c.email,
    users.c.display_name,
    scim_users.c.given_name,
    scim_users.c.family_name,
    users.c.role,
    _is_active.label("is_active"),
    func.coalesce(credentials.c.verified_email == users.c.email, False).label("is_verified"),
    scim_users.c.user_id.is_not(None).label("is_provisioned"),
    users.c.created_at,
    func.coalesce(scim_users.c.updated_at, users.c.created_at).label("updated_at"),
)
_JOINED = users.join(credentials, credentials.c.user_id == users.c.id).outerjoin(scim_users, scim_users.c.user_id == users.c.id)
_FIELDS = {
    "id": users.c.id,
    "user_name": _user_name,
    "external_id": scim_users.c.external_id,
    "email": users.c.email,
    "display_name": users.c.display_name,
    "is_active": _is_active,
}


def page(connection: Connection, conditions: Sequence[Condition], *, offset: int, limit: int) -> list[ScimUser]:
    """Return up to `limit` accounts that fulfil the conditions, oldest first, without those that the provider has deleted."""
    statement = select(*_COLUMNS).select_from(_JOINED).where(*_where(conditions))
    rows = connection.execute(statement.order_by(users.c.id).offset(offset).limit(limit))
    return [ScimUser(**row._mapping) for row in rows]


def count(connection: Connection, conditions: Sequence[Condition]) -> int:
    """Return the number of accounts that fulfil the conditions."""
    statement = select(func.count()).select_from(_JOINED).where(*_where(conditions))
    return connection.execute(statement).scalar_one()


def find_address(connection: Connection, email: str) -> tuple[UUID, bool] | None:
    """Return the id of the account with this address and whether the provider has deleted it, or None."""
    statement = select(users.c.id, scim_users.c.removed_at.is_not(None)).select_from(_JOINED).where(users.c.email == email)
    row = connection.execute(statement).one_or_none()
    return (row[0], row[1]) if row else None


def store(
    connection: Connection, user_id: UUID, *, user_name: str, external_id: str | None, given_name: str | None, family_name: str | None
) -> None:
    """Store how the provider names the user."""
    values = {"user_name": user_name, "external_id": external_id, "given_name": given_name, "family_name": family_name}
    statement = upsert(scim_users).values(values | {"user_id": user_id})
    changes = values | {"updated_at": func.now(), "removed_at": None}
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=changes))


def remove(connection: Connection, user_id: UUID) -> None:
    """Record that the provider has deleted the user, whose row is stored."""
    connection.execute(update(scim_users).where(scim_users.c.user_id == user_id).values(removed_at=func.now()))


def _where(conditions: Sequence[Condition]) -> list[ColumnElement[bool]]:
    names = [condition for condition in conditions if (condition.field, condition.operator) == ("user_name", "eq")]
    others = [condition for condition in conditions if condition not in names]
    has_names = (users.c.id.in_(_named(condition)) for condition in names)
    return [scim_users.c.removed_at.is_(None), *all_of(others, _FIELDS), *has_names]


def _named(condition: Condition) -> CompoundSelect[tuple[UUID]]:
    """Select the id of the account with a user name, each part by an index: a comparison of `coalesce` would read all accounts.

    A name that the provider has written comes before the same name as an address, which anybody may have registered since.
    """
    written, user = scim_users.alias("written"), users.alias("named")
    name = func.lower(condition.value)
    has_name = (func.lower(written.c.user_name) == name, written.c.removed_at.is_(None))
    is_written = select(written.c.user_id).where(written.c.user_id == user.c.id).exists()
    is_name = select(written.c.user_id).where(*has_name).exists()
    by_address = select(user.c.id).where(user.c.email == name, ~is_written, ~is_name)
    return union_all(select(written.c.user_id).where(*has_name), by_address)
