"""Sessions: started by a sign-in, carried on by refresh tokens, ended for good."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, Engine

from functions.auth.errors import InvalidCredentials, InvalidRefreshToken
from functions.auth.refresh_tokens import RefreshToken
from parley.auth.access_tokens import issue_token
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import ADMIN_SCOPES, USER_SCOPES, Principal
from parley.auth.signing_keys import KeyRing
from parley.clock import utc_now
from parley.db.accounts import audit, sessions, users
from parley.db.transactions import user_scope
from parley.errors import Forbidden, NotFound
from parley.ids import new_id

GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a session lasts unused, and at most. Refreshing never moves the second."""

    idle: timedelta = timedelta(days=30)
    absolute: timedelta = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user with a fresh pair of tokens."""

    user: users.User
    access_token: str
    refresh_token: str


def start_session(
    connection: Connection,
    user_id: UUID,
    password_hash: str,
    *,
    key_ring: KeyRing,
    lifetimes: Lifetimes,
    origin: ClientOrigin,
    emptied: sessions.LoginBuckets | None,
) -> SignedIn:
    """Store a new session for who has proved the password. Raises InvalidCredentials if it was changed meanwhile."""
    token, session_id = RefreshToken.new(user_id), new_id()
    session = sessions.NewSession(session_id, token.hash, utc_now() + lifetimes.absolute)
    user = sessions.start_session(connection, user_id, password_hash, session, origin=origin, emptied=emptied)
    if user is None:
        raise InvalidCredentials(f"the password of {user_id} was changed during the login")
    return _signed_in(user, session_id, token, key_ring)


def end_session(connection: Connection, principal: Principal, session_id: UUID, *, origin: ClientOrigin) -> None:
    """End one of the user's sessions, or raise NotFound."""
    if not sessions.end(connection, session_id, user_id=principal.user_id):
        raise NotFound("session", session_id)
    audit.add(connection, principal.user_id, "session_ended", origin, session_id=str(session_id))


def log_out(connection: Connection, principal: Principal, *, everywhere: bool, origin: ClientOrigin) -> None:
    """End the caller's session, or every one of the user. Raises Forbidden for an API key, which has none."""
    if principal.session_id is None:
        raise Forbidden(f"an API key of {principal.user_id} cannot log out")
    if everywhere:
        sessions.end_all(connection, user_id=principal.user_id)
    else:
        sessions.end(connection, principal.session_id, user_id=principal.user_id)
    audit.add(connection, principal.user_id, "logout_everywhere" if everywhere else "logout", origin)


def refresh(engine: Engine, key_ring: KeyRing, text: str, *, lifetimes: Lifetimes, origin: ClientOrigin) -> SignedIn:
    """Exchange a refresh token for a new pair, or raise InvalidRefreshToken.

    A token works once. Repeated within the grace period, by a client whose answer got lost or by a second tab, it
    returns the same child; repeated later or from further back it is stolen, and its session ends.
    """
    token = RefreshToken.parse(text)
    with user_scope(engine, token.user_id) as connection:
        outcome = _rotate(connection, token, key_ring, lifetimes=lifetimes, origin=origin)
    if outcome == "refused":
        raise InvalidRefreshToken(f"refused a refresh token of {token.user_id}")
    return outcome


def _rotate(
    connection: Connection, token: RefreshToken, key_ring: KeyRing, *, lifetimes: Lifetimes, origin: ClientOrigin
) -> SignedIn | Literal["refused"]:
    """Return rather than raise: what a theft changed must be committed."""
    known = sessions.find_token(connection, token.hash, user_id=token.user_id)
    session = sessions.lock(connection, known.session_id, user_id=token.user_id) if known else None
    # Read again under the lock: another process may have used it meanwhile.
    found = sessions.find_token(connection, token.hash, user_id=token.user_id) if session else None
    now = utc_now()
    if found is None or session is None or _is_over(session, lifetimes, now=now):
        return "refused"
    child = token.child(key_ring.refresh_secret)
    if found.used_at is None:
        sessions.mark_used(connection, token.hash, user_id=token.user_id, at=now)
        sessions.add_token(connection, child.hash, user_id=token.user_id, session_id=session.id, parent_hash=token.hash)
        sessions.touch(connection, session.id, user_id=token.user_id, at=now)
    elif not _is_in_grace(connection, found, child, now=now):
        sessions.end(connection, session.id, user_id=token.user_id)
        audit.add(connection, token.user_id, "refresh_token_reused", origin, session_id=str(session.id))
        return "refused"
    return _signed_in(users.get(connection, token.user_id), session.id, child, key_ring)


def _is_over(session: sessions.Session, lifetimes: Lifetimes, *, now: datetime) -> bool:
    return session.ended_at is not None or session.expires_at <= now or session.last_used_at + lifetimes.idle <= now


def _is_in_grace(connection: Connection, found: sessions.StoredRefreshToken, child: RefreshToken, *, now: datetime) -> bool:
    """Whether a used token is the direct parent of an unused child and was used a moment ago."""
    newest = sessions.find_token(connection, child.hash, user_id=child.user_id)
    is_parent = newest is not None and newest.used_at is None
    return is_parent and found.used_at is not None and now - found.used_at <= GRACE


def _signed_in(user: users.User, session_id: UUID, token: RefreshToken, key_ring: KeyRing) -> SignedIn:
    scopes = ADMIN_SCOPES if user.role == "admin" else USER_SCOPES
    access_token = issue_token(user.id, session_id, scopes, key=key_ring.newest, issuer=key_ring.issuer, now=utc_now())
    return SignedIn(user, access_token, str(token))
