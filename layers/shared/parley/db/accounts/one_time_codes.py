"""One-time codes sent by email, each for one purpose. Only their hashes are stored."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, update

from parley.db.tables import one_time_codes

type CodePurpose = Literal["reset_password", "change_email"]


@dataclass(frozen=True, slots=True)
class RedeemedCode:
    """What a code was for, beside its purpose."""

    new_email: str | None


def add(
    connection: Connection, code_hash: bytes, *, user_id: UUID, purpose: CodePurpose, lifetime: timedelta, new_email: str | None = None
) -> None:
    """Store a code; those of the same purpose that were sent before it stop working."""
    invalidate(connection, user_id=user_id, purpose=purpose)
    values = {"user_id": user_id, "hash": code_hash, "purpose": purpose, "new_email": new_email}
    connection.execute(insert(one_time_codes).values(values | {"expires_at": func.now() + lifetime}))


def redeem(connection: Connection, code_hash: bytes, *, user_id: UUID, purpose: CodePurpose) -> RedeemedCode | None:
    """Use a code up, or return None if there is none that works. Of parallel tries one gets it."""
    columns = one_time_codes.c
    which = (columns.user_id == user_id, columns.hash == code_hash, columns.purpose == purpose)
    fresh = (columns.used_at.is_(None), columns.expires_at > func.now())
    statement = update(one_time_codes).where(*which, *fresh).values(used_at=func.now()).returning(columns.new_email)
    row = connection.execute(statement).one_or_none()
    return RedeemedCode(row.new_email) if row else None


def invalidate(connection: Connection, *, user_id: UUID, purpose: CodePurpose) -> None:
    """Make the user's unused codes of a purpose useless."""
    columns = one_time_codes.c
    which = (columns.user_id == user_id, columns.purpose == purpose, columns.used_at.is_(None))
    connection.execute(update(one_time_codes).where(*which).values(used_at=func.now()))


def sweep(connection: Connection) -> int:
    """Delete the codes that have expired; return how many. Needs the background role."""
    return connection.execute(delete(one_time_codes).where(one_time_codes.c.expires_at < func.now())).rowcount
