"""Accounts as admins see and change them. Every function requires the background role."""

from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Date, cast, delete, distinct, func, select, text, update

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


@dataclass(frozen=True, slots=True)
class EndedAccess:
    """How many sessions of a user ended, and how many of the user's API keys were revoked."""

    user_id: UUID
    sessions: int
    api_keys: int


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


def get(connection: Connection, user_id: UUID) -> Account:
    """Return the account, or raise NotFound."""
    return change(connection, user_id, {})


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


def end_access(connection: Connection, *, user_id: UUID | None, but: UUID | None, with_api_keys: bool) -> list[EndedAccess]:
    """End the live sessions of the user, or of all users if `user_id` is None. The session `but` goes on.

    With `with_api_keys`, the users' API keys are revoked, too. A login, a consent or a new API key of this moment either comes first, and
    ends too, or comes later. Returns the users who lost a session or a key, by id.
    """
    connection.execute(_HOLD_CREDENTIALS, {"user_id": user_id})
    rows = connection.execute(_END_ACCESS, {"user_id": user_id, "but": but, "with_api_keys": with_api_keys})
    return [EndedAccess(**row._mapping) for row in rows]


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


# By id, so that two of these do not wait for each other. What starts a session or makes an API key locks the same rows.
_HOLD_CREDENTIALS = text(
    """
    SELECT count(*)
      FROM (SELECT FROM credentials WHERE CAST(:user_id AS uuid) IS NULL OR user_id = :user_id ORDER BY user_id FOR NO KEY UPDATE) held
    """
)
_END_ACCESS = text(
    """
    WITH ended AS (
        UPDATE sessions SET ended_at = now()
         WHERE (CAST(:user_id AS uuid) IS NULL OR user_id = :user_id) AND ended_at IS NULL AND expires_at > now()
           AND id IS DISTINCT FROM CAST(:but AS uuid)
     RETURNING user_id
    ), revoked AS (
        UPDATE api_keys SET revoked_at = now()
         WHERE (CAST(:user_id AS uuid) IS NULL OR user_id = :user_id) AND revoked_at IS NULL AND expires_at > now() AND :with_api_keys
     RETURNING user_id
    ), lost AS (
        SELECT user_id, 1 AS session, 0 AS api_key FROM ended UNION ALL SELECT user_id, 0, 1 FROM revoked
    )
    SELECT user_id, sum(session) AS sessions, sum(api_key) AS api_keys FROM lost GROUP BY user_id ORDER BY user_id
    """
)
