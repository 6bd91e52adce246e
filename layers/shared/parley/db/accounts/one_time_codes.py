"""One-time codes for users, sent by email, each for one purpose. Only their hashes are stored."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, update

from parley.db.tables import one_time_codes

type CodePurpose = Literal["reset_password", "change_email"]


@dataclass(frozen=True, slots=True)
class RedeemedCode:
    """The data stored with a redeemed code: the new address, if the code was for a change of email."""

    new_email: str | None


def add(
    connection: Connection, code_hash: bytes, *, user_id: UUID, purpose: CodePurpose, lifetime: timedelta, new_email: str | None = None
) -> None:
    """Store a code. Earlier codes of the same purpose become invalid."""
    invalidate(connection, user_id=user_id, purpose=purpose)
    values = {"user_id": user_id, "hash": code_hash, "purpose": purpose, "new_email": new_email}
    connection.execute(insert(one_time_codes).values(values | {"expires_at": func.now() + lifetime}))


def redeem(connection: Connection, code_hash: bytes, *, user_id: UUID, purpose: CodePurpose) -> RedeemedCode | None:
    """Use up a valid code, or return None. Only one of several concurrent calls redeems the code."""
    columns = one_time_codes.c
    which = (columns.user_id == user_id, columns.hash == code_hash, columns.purpose == purpose)
    is_valid = (columns.used_at.is_(None), columns.expires_at > func.now())
    statement = update(one_time_codes).where(*which, *is_valid).values(used_at=func.now()).returning(columns.new_email)
    row = connection.execute(statement).one_or_none()
    return RedeemedCode(row.new_email) if row else None


def invalidate(connection: Connection, *, user_id: UUID, purpose: CodePurpose) -> None:
    """Invalidate the user's unused codes of a purpose."""
    columns = one_time_codes.c
    which = (columns.user_id == user_id, columns.purpose == purpose, columns.used_at.is_(None))
    connection.execute(update(one_time_codes).where(*which).values(used_at=func.now()))


def sweep(connection: Connection) -> int:
    """Delete expired codes and return their number. Requires the background role."""
    return connection.execute(delete(one_time_codes).where(one_time_codes.c.expires_at < func.now())).rowcount
