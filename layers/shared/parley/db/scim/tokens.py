"""The tokens by which the identity provider calls the SCIM routes. Every function requires the background role."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from parley.db.tables import scim_tokens

_is_valid = or_(scim_tokens.c.expires_at.is_(None), scim_tokens.c.expires_at > func.now())
_is_current = scim_tokens.c.expires_at.is_(None)


@dataclass(frozen=True, slots=True)
class ScimToken:
    """A valid token, without its secret. A token that was replaced has `expires_at`."""

    id: UUID
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


def add(connection: Connection, token_id: UUID, token_hash: bytes) -> None:
    """Store a token by the hash of its secret."""
    connection.execute(insert(scim_tokens).values(id=token_id, hash=token_hash))


def replace_all(connection: Connection, *, after: timedelta) -> None:
    """Let the current token expire `after` this time. Those replaced before expire when they would have."""
    connection.execute(update(scim_tokens).where(_is_current).values(expires_at=func.now() + after))


def list_valid(connection: Connection) -> list[ScimToken]:
    """Return the valid tokens, newest first."""
    columns = (scim_tokens.c.id, scim_tokens.c.created_at, scim_tokens.c.expires_at, scim_tokens.c.last_used_at)
    rows = connection.execute(select(*columns).where(_is_valid).order_by(scim_tokens.c.id.desc()))
    return [ScimToken(**row._mapping) for row in rows]


def find_hash(connection: Connection, token_id: UUID) -> bytes | None:
    """Return the hash of a valid token, or None."""
    statement = select(scim_tokens.c.hash).where(scim_tokens.c.id == token_id, _is_valid)
    return connection.execute(statement).scalar_one_or_none()


def note_use(connection: Connection, token_id: UUID) -> None:
    """Record that the token was used, at most once an hour."""
    is_due = or_(scim_tokens.c.last_used_at.is_(None), scim_tokens.c.last_used_at < func.now() - timedelta(hours=1))
    connection.execute(update(scim_tokens).where(scim_tokens.c.id == token_id, is_due).values(last_used_at=func.now()))


def remove_all(connection: Connection) -> int:
    """Delete all tokens, and return their number."""
    return connection.execute(delete(scim_tokens)).rowcount


def sweep(connection: Connection) -> int:
    """Delete expired tokens and return their number."""
    return connection.execute(delete(scim_tokens).where(scim_tokens.c.expires_at < func.now())).rowcount
