"""Sessions: one for each login, each with its family of refresh tokens. Only hashes of tokens are stored."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, insert, select, text, update

from parley.db.tables import refresh_tokens, sessions

_LIVE = (sessions.c.ended_at.is_(None), sessions.c.expires_at > func.now())


@dataclass(frozen=True, slots=True)
class Session:
    """A login and how long it lasts: until `expires_at` at most, or until it was ended."""

    id: UUID
    last_used_at: datetime
    expires_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A session as its user sees it; `address` is a network where the client has IPv6."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A stored refresh token. `used_at` is set once it has been exchanged for its child."""

    hash: bytes
    session_id: UUID
    used_at: datetime | None


def page(connection: Connection, *, user_id: UUID, idle: timedelta, limit: int, after: UUID | None) -> list[Listed]:
    """Return up to `limit` sessions that live, newest first, from the one after `after` on; unused for `idle`, one is over."""
    is_used = sessions.c.last_used_at > func.now() - idle
    statement = select(*(sessions.c[field.name] for field in fields(Listed))).where(sessions.c.user_id == user_id, is_used, *_LIVE)
    statement = statement.where(sessions.c.id < after) if after else statement
    rows = connection.execute(statement.order_by(sessions.c.id.desc()).limit(limit))
    return [Listed(**row._mapping) for row in rows]


def lock(connection: Connection, session_id: UUID, *, user_id: UUID) -> Session | None:
    """Return the session, held until the transaction ends, so that refreshing and ending it cannot cross."""
    columns = (sessions.c.id, sessions.c.last_used_at, sessions.c.expires_at, sessions.c.ended_at)
    statement = select(*columns).where(sessions.c.user_id == user_id, sessions.c.id == session_id).with_for_update()
    row = connection.execute(statement).one_or_none()
    return Session(**row._mapping) if row else None


def touch(connection: Connection, session_id: UUID, *, user_id: UUID, at: datetime) -> None:
    """Note that the session was used."""
    connection.execute(update(sessions).where(sessions.c.user_id == user_id, sessions.c.id == session_id).values(last_used_at=at))


def end(connection: Connection, session_id: UUID, *, user_id: UUID) -> bool:
    """End one session; its tokens stop working at once. False if no such session lives."""
    return _end(connection, sessions.c.user_id == user_id, sessions.c.id == session_id) == 1


def end_all(connection: Connection, *, user_id: UUID, but: UUID | None = None) -> int:
    """End every session of the user, perhaps but one; return how many."""
    return _end(connection, sessions.c.user_id == user_id, *([sessions.c.id != but] if but else []))


def _end(connection: Connection, *which: ColumnElement[bool]) -> int:
    return connection.execute(update(sessions).where(*which, sessions.c.ended_at.is_(None)).values(ended_at=func.now())).rowcount


def sweep(connection: Connection) -> int:
    """Delete the sessions that expired a month ago, with their tokens; return how many. Needs the background role."""
    return connection.execute(text("DELETE FROM sessions WHERE expires_at < now() - interval '30 days'")).rowcount


def add_token(connection: Connection, token_hash: bytes, *, user_id: UUID, session_id: UUID, parent_hash: bytes | None = None) -> None:
    """Store a session's next refresh token, given its hash and its parent's."""
    values = {"user_id": user_id, "hash": token_hash, "session_id": session_id, "parent_hash": parent_hash}
    connection.execute(insert(refresh_tokens).values(values))


def find_token(connection: Connection, token_hash: bytes, *, user_id: UUID) -> RefreshToken | None:
    """Look a refresh token up by its hash."""
    columns = (refresh_tokens.c.hash, refresh_tokens.c.session_id, refresh_tokens.c.used_at)
    statement = select(*columns).where(refresh_tokens.c.user_id == user_id, refresh_tokens.c.hash == token_hash)
    row = connection.execute(statement).one_or_none()
    return RefreshToken(**row._mapping) if row else None


def mark_used(connection: Connection, token_hash: bytes, *, user_id: UUID, at: datetime) -> None:
    """Note that the token has been exchanged."""
    which = (refresh_tokens.c.user_id == user_id, refresh_tokens.c.hash == token_hash)
    connection.execute(update(refresh_tokens).where(*which).values(used_at=at))
