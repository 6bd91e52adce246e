"""Users and their password hashes."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from parley.db.tables import credentials, users
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class User:
    """An account. `email` is in lower case. If `monthly_budget_usd` is None, the deployment's default applies.

    Conversations without activity for `retention_days` are deleted; 0 means never, None the deployment's default.
    """

    id: UUID
    email: str
    display_name: str | None
    role: str
    memory_enabled: bool
    default_model: str | None
    created_at: datetime
    disabled_at: datetime | None
    monthly_budget_usd: Decimal | None
    retention_days: int | None


def add(
    connection: Connection,
    user_id: UUID,
    *,
    email: str,
    display_name: str | None,
    password_hash: str,
    role: str = "user",
    is_verified: bool = False,
) -> User | None:
    """Store a new user, or return None if the email address is taken. `is_verified` is whether the owner has proven the address."""
    statement = upsert(users).values(id=user_id, email=email, display_name=display_name, role=role)
    row = connection.execute(statement.on_conflict_do_nothing(index_elements=["email"]).returning(users)).one_or_none()
    if row is None:
        return None
    connection.execute(
        insert(credentials).values(user_id=user_id, password_hash=password_hash, verified_email=email if is_verified else None)
    )
    return User(**row._mapping)


def get(connection: Connection, user_id: UUID) -> User:
    """Return the user, or raise NotFound."""
    row = connection.execute(select(users).where(users.c.id == user_id)).one_or_none()
    if row is None:
        raise NotFound("user", user_id)
    return User(**row._mapping)


def change(connection: Connection, user_id: UUID, changes: dict[str, Any]) -> User:
    """Set the given columns and return the user, or raise NotFound."""
    if not changes:
        return get(connection, user_id)
    row = connection.execute(update(users).where(users.c.id == user_id).values(changes).returning(users)).one_or_none()
    if row is None:
        raise NotFound("user", user_id)
    return User(**row._mapping)


def change_email(connection: Connection, user_id: UUID, email: str) -> bool:
    """Change the user's email address; return False if it is taken."""
    # A query cannot see other users' rows, but the unique index covers them. The savepoint keeps the transaction usable.
    try:
        with connection.begin_nested():
            connection.execute(update(users).where(users.c.id == user_id).values(email=email))
    except IntegrityError:
        return False
    return True


def is_email_verified(connection: Connection, user_id: UUID) -> bool:
    """Return whether the account's owner has proven the address."""
    statement = select(users.c.id).join(credentials, credentials.c.user_id == users.c.id)
    statement = statement.where(users.c.id == user_id, credentials.c.verified_email == users.c.email)
    return connection.execute(statement).one_or_none() is not None


def lock_verified_email(connection: Connection, user_id: UUID) -> str | None:
    """Return the account's address if its owner has proven it, else None. The proof does not change until the transaction ends."""
    statement = select(credentials.c.verified_email).join(users, credentials.c.user_id == users.c.id)
    statement = statement.where(users.c.id == user_id, credentials.c.verified_email == users.c.email)
    email: str | None = connection.execute(statement.with_for_update(read=True, of=credentials)).scalar_one_or_none()
    return email


def set_verified_email(connection: Connection, user_id: UUID, email: str) -> None:
    """Record that the account's owner has proven the address."""
    connection.execute(update(credentials).where(credentials.c.user_id == user_id).values(verified_email=email))


def find_id(connection: Connection, email: str) -> UUID | None:
    """Return the id of the account with this address, or None if no enabled account has it. Requires the background role."""
    statement = select(users.c.id).where(users.c.email == email, users.c.disabled_at.is_(None))
    return connection.execute(statement).scalar_one_or_none()


def is_email_taken(connection: Connection, email: str) -> bool:
    """Whether any account, even a disabled one, has the address. Requires the background role."""
    return connection.execute(select(users.c.id).where(users.c.email == email)).one_or_none() is not None


def disable(connection: Connection, user_id: UUID) -> None:
    """Disable the account. Its sessions and API keys stop working immediately."""
    connection.execute(update(users).where(users.c.id == user_id).values(disabled_at=func.now()))


def lock_password_hash(connection: Connection, user_id: UUID, password_hash: str) -> bool:
    """Return whether the stored hash is still `password_hash`. If so, the hash cannot change until the transaction ends."""
    which = (credentials.c.user_id == user_id, credentials.c.password_hash == password_hash)
    statement = select(credentials.c.user_id).where(*which).with_for_update(read=True)
    return connection.execute(statement).one_or_none() is not None


def lock_credentials(connection: Connection, user_id: UUID) -> str | None:
    """Return the user's password hash, or None without an account. The credentials do not change until the transaction ends."""
    statement = select(credentials.c.password_hash).where(credentials.c.user_id == user_id).with_for_update(read=True)
    password_hash: str | None = connection.execute(statement).scalar_one_or_none()
    return password_hash


def password_hash_of(connection: Connection, user_id: UUID) -> str:
    """Return the stored password hash of the user."""
    password_hash: str = connection.execute(select(credentials.c.password_hash).where(credentials.c.user_id == user_id)).scalar_one()
    return password_hash


def replace_password_hash(connection: Connection, user_id: UUID, old: str, new: str) -> bool:
    """Replace the password hash `old` by `new`; return False if the stored hash is no longer `old`."""
    which = (credentials.c.user_id == user_id, credentials.c.password_hash == old)
    return connection.execute(update(credentials).where(*which).values(password_hash=new, updated_at=func.now())).rowcount == 1


def set_password_hash(connection: Connection, user_id: UUID, password_hash: str) -> None:
    """Replace the password hash unconditionally."""
    values = {"password_hash": password_hash, "updated_at": func.now()}
    connection.execute(update(credentials).where(credentials.c.user_id == user_id).values(values))
