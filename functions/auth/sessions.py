"""Sessions: started by a sign-in, carried on by refresh tokens, ended for good."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, Engine

from functions.auth.errors import InvalidRefreshToken
from functions.auth.refresh_tokens import RefreshToken
from parley.auth.access_tokens import issue_token
from parley.auth.principal import ADMIN_SCOPES, USER_SCOPES
from parley.auth.signing_keys import KeyRing
from parley.clock import utc_now
from parley.db import sessions, users
from parley.db.scope import user_scope
from parley.ids import new_id

IDLE_LIFETIME = timedelta(days=30)
ABSOLUTE_LIFETIME = timedelta(days=180)
GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user with a fresh pair of tokens."""

    user: users.User
    access_token: str
    refresh_token: str


def start_session(connection: Connection, user: users.User, ring: KeyRing) -> SignedIn:
    """Store a new session and its first refresh token."""
    now, session_id, token = utc_now(), new_id(), RefreshToken.new(user.id)
    sessions.start(connection, user_id=user.id, session_id=session_id, expires_at=now + ABSOLUTE_LIFETIME)
    sessions.add_token(connection, token.hash, user_id=user.id, session_id=session_id)
    return _signed_in(user, sessions.Session(session_id, now, now + ABSOLUTE_LIFETIME, ended_at=None), token, ring)


def refresh(engine: Engine, ring: KeyRing, text: str) -> SignedIn:
    """Exchange a refresh token for a new pair, or raise InvalidRefreshToken.

    A token works once. Repeated within the grace period, by a client whose answer got lost or by a second tab, it
    returns the same child; repeated later or from further back it is stolen, and its session ends.
    """
    token = RefreshToken.parse(text)
    with user_scope(engine, token.user_id) as connection:
        outcome = _rotate(connection, token, ring)
    if outcome == "refused":
        raise InvalidRefreshToken(f"refused a refresh token of {token.user_id}")
    return outcome


def _rotate(connection: Connection, token: RefreshToken, ring: KeyRing) -> SignedIn | Literal["refused"]:
    """Return rather than raise: what a theft changed must be committed."""
    known = sessions.find_token(connection, token.hash, user_id=token.user_id)
    session = sessions.lock(connection, known.session_id, user_id=token.user_id) if known else None
    # Read again under the lock: another process may have used it meanwhile.
    found = sessions.find_token(connection, token.hash, user_id=token.user_id) if session else None
    now = utc_now()
    if found is None or session is None or _is_over(session, now=now):
        return "refused"
    child = token.child(ring.refresh_secret)
    if found.used_at is None:
        sessions.mark_used(connection, token.hash, user_id=token.user_id, at=now)
        sessions.add_token(connection, child.hash, user_id=token.user_id, session_id=session.id, parent_hash=token.hash)
        sessions.touch(connection, session.id, user_id=token.user_id, at=now)
    elif not _is_in_grace(connection, found, child, now=now):
        sessions.end(connection, session.id, user_id=token.user_id)
        return "refused"
    return _signed_in(users.get(connection, token.user_id), session, child, ring)


def _is_over(session: sessions.Session, *, now: datetime) -> bool:
    return session.ended_at is not None or session.expires_at <= now or session.last_used_at + IDLE_LIFETIME <= now


def _is_in_grace(connection: Connection, found: sessions.RefreshToken, child: RefreshToken, *, now: datetime) -> bool:
    """Whether a used token is the direct parent of an unused child and was used a moment ago."""
    newest = sessions.find_token(connection, child.hash, user_id=child.user_id)
    is_parent = newest is not None and newest.used_at is None
    return is_parent and found.used_at is not None and now - found.used_at <= GRACE


def _signed_in(user: users.User, session: sessions.Session, token: RefreshToken, ring: KeyRing) -> SignedIn:
    scopes = ADMIN_SCOPES if user.role == "admin" else USER_SCOPES
    access_token = issue_token(user.id, session.id, scopes, key=ring.newest, now=utc_now())
    return SignedIn(user, access_token, str(token))
