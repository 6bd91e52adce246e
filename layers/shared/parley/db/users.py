"""Users and their passwords' hashes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.db.tables import credentials, users
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class User:
    """An account. `email` is stored in lower case."""

    id: UUID
    email: str
    display_name: str | None
    role: str
    memory_enabled: bool
    default_model: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Credential:
    """What a login is checked against."""

    user_id: UUID
    password_hash: str


def add(connection: Connection, user_id: UUID, *, email: str, display_name: str | None, password_hash: str) -> User | None:
    """Store a new user, or return None if the e-mail address is taken."""
    statement = upsert(users).values(id=user_id, email=email, display_name=display_name)
    row = connection.execute(statement.on_conflict_do_nothing(index_elements=["email"]).returning(users)).one_or_none()
    if row is None:
        return None
    connection.execute(insert(credentials).values(user_id=user_id, password_hash=password_hash))
    return User(**row._mapping)


def find_credential(connection: Connection, email: str) -> Credential | None:
    """Look up who signs in with `email`. Needs the background role: nobody is known yet."""
    statement = select(users.c.id, credentials.c.password_hash).join_from(users, credentials).where(users.c.email == email)
    row = connection.execute(statement).one_or_none()
    return Credential(row.id, row.password_hash) if row else None


def get(connection: Connection, user_id: UUID) -> User:
    """Return the user, or raise NotFound."""
    row = connection.execute(select(users).where(users.c.id == user_id)).one_or_none()
    if row is None:
        raise NotFound("user", user_id)
    return User(**row._mapping)


def change(connection: Connection, user_id: UUID, changes: dict[str, Any]) -> User:
    """Set the given columns of the user's profile and return it whole."""
    if not changes:
        return get(connection, user_id)
    row = connection.execute(update(users).where(users.c.id == user_id).values(changes).returning(users)).one_or_none()
    if row is None:
        raise NotFound("user", user_id)
    return User(**row._mapping)


def set_password_hash(connection: Connection, user_id: UUID, password_hash: str) -> None:
    """Store a new hash of the same or another password."""
    values = {"password_hash": password_hash, "updated_at": func.now()}
    connection.execute(update(credentials).where(credentials.c.user_id == user_id).values(values))
