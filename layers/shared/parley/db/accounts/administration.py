"""Accounts as admins see and change them. Every function requires the background role."""

from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Date, cast, delete, distinct, func, select, update

from parley.db.groups import membership
from parley.db.tables import group_invitations, invites, signups, users
from parley.db.tables import usage as calls
from parley.errors import NotFound

type Grouping = Literal["user", "model", "day"]
GROUPINGS: tuple[Grouping, ...] = ("user", "model", "day")


@dataclass(frozen=True, slots=True)
class Account:
    """An account as admins see it, without any of its owner's content."""

    id: UUID
    email: str
    display_name: str | None
    role: str
    created_at: datetime
    disabled_at: datetime | None
    monthly_budget_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class GroupedUsage:
    """The usage of one group. `user_id`, `model` or `day` is None if the usage is not grouped by it."""

    user_id: UUID | None
    model: str | None
    day: date | None
    turns: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


_COLUMNS = [users.c[field.name] for field in fields(Account)]
_GROUP_COLUMNS = {"user": calls.c.user_id, "model": calls.c.model, "day": cast(func.timezone("UTC", calls.c.at), Date)}
_GROUP_NAMES = {"user": "user_id", "model": "model", "day": "day"}


def page(connection: Connection, *, limit: int, after: UUID | None, email_part: str | None) -> list[Account]:
    """Return up to `limit` accounts that follow the account `after`, newest first.

    With `email_part`, only accounts whose email address contains it.
    """
    statement = select(*_COLUMNS).order_by(users.c.id.desc()).limit(limit)
    statement = statement.where(users.c.id < after) if after else statement
    statement = statement.where(users.c.email.contains(email_part.lower(), autoescape=True)) if email_part else statement
    return [Account(**row._mapping) for row in connection.execute(statement)]


def is_admin(connection: Connection, user_id: UUID) -> bool:
    """Whether the account exists, is not disabled, and has the role `admin`."""
    statement = select(users.c.id).where(users.c.id == user_id, users.c.role == "admin", users.c.disabled_at.is_(None))
    return connection.execute(statement).one_or_none() is not None


def has_other_admin(connection: Connection, user_id: UUID) -> bool:
    """Whether an enabled account besides this one has the role `admin`."""
    statement = select(users.c.id).where(users.c.id != user_id, users.c.role == "admin", users.c.disabled_at.is_(None))
    return connection.execute(statement.limit(1)).first() is not None


def change(connection: Connection, user_id: UUID, changes: dict[str, Any]) -> Account:
    """Set the given columns and return the account, or raise NotFound."""
    which = users.c.id == user_id
    statement = update(users).where(which).values(changes).returning(*_COLUMNS) if changes else select(*_COLUMNS).where(which)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("user", user_id)
    return Account(**row._mapping)


def erase(connection: Connection, user_id: UUID) -> bool:
    """Delete a user, all rows with the user's id, and what names the address. Returns False if already deleted.

    Groups of the user alone are deleted, too; another member inherits a group that the user alone owned.
    """
    lonely_groups = membership.hand_over(connection, user_id=user_id)
    email = connection.execute(delete(users).where(users.c.id == user_id).returning(users.c.email)).scalar_one_or_none()
    if email is None:
        return False
    connection.execute(delete(signups).where(signups.c.email == email))
    connection.execute(delete(invites).where(invites.c.email == email))
    connection.execute(delete(group_invitations).where(group_invitations.c.email == email))
    membership.remove_empty(connection, lonely_groups)
    return True


def grouped_usage(
    connection: Connection, *, start: datetime, end: datetime, group_by: list[Grouping], limit: int, offset: int
) -> list[GroupedUsage]:
    """Sum the model calls in [start, end) for each group, highest cost first."""
    groups = [_GROUP_COLUMNS[name].label(_GROUP_NAMES[name]) for name in group_by]
    sums = [
        func.count(distinct(calls.c.turn_id)).label("turns"),
        *(func.sum(calls.c[name]).label(name) for name in ("input_tokens", "output_tokens", "cost_usd")),
    ]
    statement = select(*groups, *sums).where(calls.c.at >= start, calls.c.at < end).group_by(*groups)
    blank = {"user_id": None, "model": None, "day": None}
    rows = connection.execute(statement.order_by(sums[-1].desc(), *groups).limit(limit).offset(offset))
    return [GroupedUsage(**(blank | dict(row._mapping))) for row in rows]
