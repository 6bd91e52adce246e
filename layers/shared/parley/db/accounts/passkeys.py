"""Passkeys (WebAuthn): the public keys of users' authenticators, and the challenges that they sign.

Challenges belong to no user: their functions require the background role.
"""

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, exists, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_once

from parley.db.tables import passkey_challenges, passkeys, sessions, users
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as its user sees it. `is_backed_up` is whether the authenticator has copied it to other devices."""

    id: UUID
    name: str
    is_backed_up: bool
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Credential:
    """The part of a passkey that authenticators and signatures concern. `public_key` is a COSE key, as the authenticator sent it."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: list[str]


_PASSKEY = [passkeys.c[field.name] for field in fields(Passkey)]
_CREDENTIAL = [passkeys.c[field.name] for field in fields(Credential)]


def add(
    connection: Connection, passkey_id: UUID, credential: Credential, *, user_id: UUID, name: str, is_backed_up: bool
) -> Passkey | None:
    """Store a passkey; return None if the user has this credential already."""
    values = {"user_id": user_id, "id": passkey_id, "name": name, "is_backed_up": is_backed_up} | asdict(credential)
    statement = insert_once(passkeys).values(values).on_conflict_do_nothing(index_elements=["user_id", "credential_id"])
    row = connection.execute(statement.returning(*_PASSKEY)).one_or_none()
    return Passkey(**row._mapping) if row else None


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None) -> list[Passkey]:
    """Return up to `limit` passkeys that follow the passkey `after`, newest first."""
    statement = select(*_PASSKEY).where(passkeys.c.user_id == user_id)
    statement = statement.where(passkeys.c.id < after) if after else statement
    return [Passkey(**row._mapping) for row in connection.execute(statement.order_by(passkeys.c.id.desc()).limit(limit))]


def credentials(connection: Connection, *, user_id: UUID) -> list[Credential]:
    """Return the credentials of all the user's passkeys."""
    statement = select(*_CREDENTIAL).where(passkeys.c.user_id == user_id).order_by(passkeys.c.id)
    return [Credential(**row._mapping) for row in connection.execute(statement)]


def find_credential(connection: Connection, credential_id: bytes, *, user_id: UUID) -> tuple[UUID, Credential] | None:
    """Return the user's passkey with this credential, by id and credential, or None."""
    which = (passkeys.c.user_id == user_id, passkeys.c.credential_id == credential_id)
    row = connection.execute(select(passkeys.c.id, *_CREDENTIAL).where(*which)).one_or_none()
    return (row.id, Credential(*row[1:])) if row else None


def get(connection: Connection, passkey_id: UUID, *, user_id: UUID) -> Passkey:
    """Return the passkey, or raise NotFound."""
    row = connection.execute(select(*_PASSKEY).where(passkeys.c.user_id == user_id, passkeys.c.id == passkey_id)).one_or_none()
    if row is None:
        raise NotFound("passkey", passkey_id)
    return Passkey(**row._mapping)


def rename(connection: Connection, passkey_id: UUID, name: str, *, user_id: UUID) -> Passkey:
    """Rename the passkey, or raise NotFound."""
    which = (passkeys.c.user_id == user_id, passkeys.c.id == passkey_id)
    row = connection.execute(update(passkeys).where(*which).values(name=name).returning(*_PASSKEY)).one_or_none()
    if row is None:
        raise NotFound("passkey", passkey_id)
    return Passkey(**row._mapping)


def remove(connection: Connection, passkey_id: UUID, *, user_id: UUID) -> None:
    """Delete the passkey, or raise NotFound."""
    which = (passkeys.c.user_id == user_id, passkeys.c.id == passkey_id)
    if connection.execute(delete(passkeys).where(*which)).rowcount == 0:
        raise NotFound("passkey", passkey_id)


def role_beside(connection: Connection, session_id: UUID | None, *, user_id: UUID) -> str | None:
    """Return the role of a user who has a passkey, if the session began without it and without another second factor, else None."""
    is_weak = (sessions.c.user_id == user_id, sessions.c.id == session_id, ~sessions.c.has_second_factor)
    has_passkey = exists().where(passkeys.c.user_id == user_id)
    return connection.execute(select(users.c.role).join(sessions).where(*is_weak, has_passkey)).scalar_one_or_none()


def remove_all(connection: Connection, *, user_id: UUID) -> None:
    """Delete all of the user's passkeys."""
    connection.execute(delete(passkeys).where(passkeys.c.user_id == user_id))


def advance(connection: Connection, passkey_id: UUID, *, user_id: UUID, sign_count: int, is_backed_up: bool) -> bool:
    """Record a use of the passkey; return False if its count of signatures did not grow. A passkey that does not count stays at zero."""
    grows = or_(passkeys.c.sign_count < sign_count, passkeys.c.sign_count + sign_count == 0)
    which = (passkeys.c.user_id == user_id, passkeys.c.id == passkey_id, grows)
    used = {"sign_count": sign_count, "is_backed_up": is_backed_up, "last_used_at": func.now()}
    return connection.execute(update(passkeys).where(*which).values(used)).rowcount == 1


def add_challenge(connection: Connection, challenge_hash: bytes, *, expires_at: datetime) -> None:
    """Store a challenge."""
    connection.execute(insert(passkey_challenges).values(hash=challenge_hash, expires_at=expires_at))


def take_challenge(connection: Connection, challenge_hash: bytes) -> datetime | None:
    """Delete a challenge and return when it expires, or return None. Only one of several concurrent calls receives it."""
    statement = delete(passkey_challenges).where(passkey_challenges.c.hash == challenge_hash)
    return connection.execute(statement.returning(passkey_challenges.c.expires_at)).scalar_one_or_none()


def sweep_challenges(connection: Connection) -> int:
    """Delete expired challenges and return their number."""
    return connection.execute(delete(passkey_challenges).where(passkey_challenges.c.expires_at < func.now())).rowcount
