"""Second factors: the encrypted secret of a user's authenticator app, and hashes of recovery codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, text, update

from parley.db.tables import recovery_codes, second_factors, sessions


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """A user's second factor. It counts from `confirmed_at` on."""

    secret: bytes
    confirmed_at: datetime | None


def find(connection: Connection, *, user_id: UUID) -> SecondFactor | None:
    """Return the user's second factor, confirmed or not, or None."""
    statement = select(second_factors.c.secret, second_factors.c.confirmed_at).where(second_factors.c.user_id == user_id)
    row = connection.execute(statement).one_or_none()
    return SecondFactor(*row) if row else None


def begin(connection: Connection, *, user_id: UUID, secret: bytes) -> bool:
    """Store a secret in place of an unconfirmed one; return False if the user has a confirmed one."""
    return connection.execute(_BEGIN, {"user_id": user_id, "secret": secret}).one_or_none() is not None


def advance(connection: Connection, *, user_id: UUID, step: int) -> bool:
    """Record that a code of this time step was used; return False if one of this step or a later one was used before."""
    which = (second_factors.c.user_id == user_id, second_factors.c.last_step < step)
    return connection.execute(update(second_factors).where(*which).values(last_step=step)).rowcount == 1


def confirm(connection: Connection, *, user_id: UUID, session_id: UUID | None, hashes: Sequence[bytes]) -> None:
    """Let the factor count, replace the recovery codes, and end the user's sessions but this one, which had no second factor."""
    connection.execute(update(second_factors).where(second_factors.c.user_id == user_id).values(confirmed_at=func.now()))
    connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    connection.execute(insert(recovery_codes), [{"user_id": user_id, "hash": one} for one in hashes])
    is_own = (sessions.c.user_id == user_id, sessions.c.id == session_id)
    connection.execute(update(sessions).where(*is_own).values(has_second_factor=True))
    others = (sessions.c.user_id == user_id, sessions.c.id != session_id, sessions.c.ended_at.is_(None))
    connection.execute(update(sessions).where(*others).values(ended_at=func.now()))


def use_recovery_code(connection: Connection, code_hash: bytes, *, user_id: UUID) -> bool:
    """Delete a recovery code of a confirmed factor; return False if there is no such code."""
    which = (recovery_codes.c.user_id == user_id, recovery_codes.c.hash == code_hash)
    return connection.execute(delete(recovery_codes).where(*which)).rowcount == 1


def count_recovery_codes(connection: Connection, *, user_id: UUID) -> int:
    """Return the number of the user's unused recovery codes."""
    return connection.execute(select(func.count()).select_from(recovery_codes).where(recovery_codes.c.user_id == user_id)).scalar_one()


def remove(connection: Connection, *, user_id: UUID) -> None:
    """Delete the user's second factor and recovery codes."""
    connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    connection.execute(delete(second_factors).where(second_factors.c.user_id == user_id))


_BEGIN = text(
    """
    INSERT INTO second_factors AS f (user_id, secret) VALUES (:user_id, :secret)
    ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, created_at = now(), last_step = 0 WHERE f.confirmed_at IS NULL
    RETURNING f.user_id
    """
)
