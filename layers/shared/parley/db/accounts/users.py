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
    """An account. `email` is stored in lower case; `monthly_budget_usd` is None where the deployment's default holds.

    So is `retention_days`, after which conversations without activity go; 0 keeps them for ever.
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
    connection: Connection, user_id: UUID, *, email: str, display_name: str | None, password_hash: str, role: str = "user"
) -> User | None:
    """Store a new user, or return None if the e-mail address is taken."""
    statement = upsert(users).values(id=user_id, email=email, display_name=display_name, role=role)
    row = connection.execute(statement.on_conflict_do_nothing(index_elements=["email"]).returning(users)).one_or_none()
    if row is None:
        return None
    connection.execute(insert(credentials).values(user_id=user_id, password_hash=password_hash))
    return User(**row._mapping)


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


def change_email(connection: Connection, user_id: UUID, email: str) -> bool:
    """Give the user another e-mail address; False if it is taken."""
    # The unique index sees every user's rows; a savepoint keeps the transaction alive where it objects.
    try:
        with connection.begin_nested():
            connection.execute(update(users).where(users.c.id == user_id).values(email=email))
    except IntegrityError:
        return False
    return True


def find_id(connection: Connection, email: str) -> UUID | None:
    """Look up whose address it is, unless the account is disabled. Needs the background role."""
    statement = select(users.c.id).where(users.c.email == email, users.c.disabled_at.is_(None))
    return connection.execute(statement).scalar_one_or_none()


def is_email_taken(connection: Connection, email: str) -> bool:
    """Whether an account has the address, disabled or not. Needs the background role."""
    return connection.execute(select(users.c.id).where(users.c.email == email)).one_or_none() is not None


def disable(connection: Connection, user_id: UUID) -> None:
    """Shut the account: no session or API key of it opens anything any more."""
    connection.execute(update(users).where(users.c.id == user_id).values(disabled_at=func.now()))


def replace_password_hash(connection: Connection, user_id: UUID, old: str, new: str) -> bool:
    """Store a new hash of the same or another password; False if the old one is another by now."""
    which = (credentials.c.user_id == user_id, credentials.c.password_hash == old)
    return connection.execute(update(credentials).where(*which).values(password_hash=new, updated_at=func.now())).rowcount == 1


def set_password_hash(connection: Connection, user_id: UUID, password_hash: str) -> None:
    """Store a new hash of the same or another password."""
    values = {"password_hash": password_hash, "updated_at": func.now()}
    connection.execute(update(credentials).where(credentials.c.user_id == user_id).values(values))
