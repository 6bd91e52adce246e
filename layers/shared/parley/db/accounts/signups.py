"""Sign-ups that wait for confirmation by email. They belong to no user yet, so every function requires the background role."""

from dataclasses import dataclass, fields
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, update

from parley.db.tables import signups


@dataclass(frozen=True, slots=True)
class Signup:
    """A request for an account, to be confirmed by the code sent to `email`."""

    id: UUID
    email: str
    display_name: str | None
    password_hash: str
    invite_id: UUID | None


_COLUMNS = [signups.c[field.name] for field in fields(Signup)]


def add(connection: Connection, signup: Signup, *, lifetime: timedelta) -> None:
    """Store a sign-up. Callers do so even if the address is taken, because both cases must take equally long."""
    values = {field.name: getattr(signup, field.name) for field in fields(Signup)}
    connection.execute(insert(signups).values(values | {"expires_at": func.now() + lifetime}))


def get(connection: Connection, signup_id: UUID) -> Signup | None:
    """Return the sign-up, or None if it is unknown or expired."""
    statement = select(*_COLUMNS).where(signups.c.id == signup_id, signups.c.expires_at > func.now())
    row = connection.execute(statement).one_or_none()
    return Signup(**row._mapping) if row else None


def set_code(connection: Connection, signup_id: UUID, code_hash: bytes, *, lifetime: timedelta) -> None:
    """Store the hash of the code that was sent. The sign-up expires together with the code."""
    values = {"code_hash": code_hash, "expires_at": func.now() + lifetime}
    connection.execute(update(signups).where(signups.c.id == signup_id).values(values))


def find(connection: Connection, signup_id: UUID, *, email: str, code_hash: bytes) -> Signup | None:
    """Return the sign-up that the code and the address match, or None."""
    which = (signups.c.id == signup_id, signups.c.email == email, signups.c.code_hash == code_hash)
    row = connection.execute(select(*_COLUMNS).where(*which, signups.c.expires_at > func.now())).one_or_none()
    return Signup(**row._mapping) if row else None


def count(connection: Connection, email: str) -> int:
    """Return the number of sign-ups for the address that have not expired."""
    which = (signups.c.email == email, signups.c.expires_at > func.now())
    return connection.execute(select(func.count()).where(*which)).scalar_one()


def delete_by_email(connection: Connection, email: str) -> None:
    """Delete all sign-ups for the address, after one of them was confirmed."""
    connection.execute(delete(signups).where(signups.c.email == email))


def sweep(connection: Connection) -> int:
    """Delete expired sign-ups and return their number."""
    return connection.execute(delete(signups).where(signups.c.expires_at < func.now())).rowcount
