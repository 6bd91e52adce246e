"""Invites to register, each for one account. Every function requires the background role."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, or_, select

from parley.db.tables import invites
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class Invite:
    """An open invite. If `email` is set, only that address can use it."""

    id: UUID
    email: str | None
    created_by: UUID
    created_at: datetime
    expires_at: datetime


_COLUMNS = [invites.c[field.name] for field in fields(Invite)]


def add(connection: Connection, invite_id: UUID, code_hash: bytes, *, email: str | None, created_by: UUID, expires_at: datetime) -> Invite:
    """Store an invite with the hash of its code."""
    values = {"id": invite_id, "hash": code_hash, "email": email, "created_by": created_by, "expires_at": expires_at}
    return Invite(**connection.execute(insert(invites).values(values).returning(*_COLUMNS)).one()._mapping)


def page(connection: Connection, *, limit: int, after: UUID | None) -> list[Invite]:
    """Return up to `limit` open invites that follow the invite `after`, newest first."""
    statement = select(*_COLUMNS).where(invites.c.expires_at > func.now())
    statement = statement.where(invites.c.id < after) if after else statement
    return [Invite(**row._mapping) for row in connection.execute(statement.order_by(invites.c.id.desc()).limit(limit))]


def find(connection: Connection, code_hash: bytes, *, email: str) -> UUID | None:
    """Return the id of the open invite with this code hash that `email` may use, or None."""
    is_for_email = or_(invites.c.email.is_(None), invites.c.email == email)
    statement = select(invites.c.id).where(invites.c.hash == code_hash, is_for_email, invites.c.expires_at > func.now())
    return connection.execute(statement).scalar_one_or_none()


def use(connection: Connection, invite_id: UUID) -> bool:
    """Consume an invite. Returns False if it is used, withdrawn or expired. Only one of several concurrent calls returns True."""
    return connection.execute(delete(invites).where(invites.c.id == invite_id, invites.c.expires_at > func.now())).rowcount == 1


def remove(connection: Connection, invite_id: UUID) -> None:
    """Withdraw an invite, or raise NotFound."""
    if connection.execute(delete(invites).where(invites.c.id == invite_id)).rowcount == 0:
        raise NotFound("invite", invite_id)


def sweep(connection: Connection) -> int:
    """Delete expired invites and return their number."""
    return connection.execute(delete(invites).where(invites.c.expires_at < func.now())).rowcount
