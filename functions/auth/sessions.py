"""Sessions and their refresh tokens: start, rotate, end.

A refresh token is opaque, works once, and belongs to the token family of its session (RFC 9700). Its text is `prt_` and
the base64url of the user's id (16 bytes) and a secret (32 bytes); only the secret's SHA-256 is stored. The successor's secret
is derived from the token's secret with a server key, so a client that lost the response can repeat the request within
the grace period and receive the same successor, although only hashes are stored.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal, Self
from uuid import UUID

from functions.auth.errors import InvalidCredentials, InvalidRefreshToken
from parley.auth.access_tokens import issue_token
from parley.auth.client_origin import ClientOrigin
from parley.auth.client_tokens import issue_client_token
from parley.auth.principal import ADMIN_SCOPES, ENROLMENT_SCOPE, USER_SCOPES, Principal
from parley.auth.signing_keys import KeyRing
from parley.clock import utc_now
from parley.db.accounts import audit, sessions, users
from parley.db.engine import Connection, Engine
from parley.db.transactions import user_scope
from parley.errors import NotFound
from parley.ids import new_id

REFRESH_SECRET_BYTES = 32
REUSE_GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token in the clear."""

    PREFIX: ClassVar = "prt_"

    user_id: UUID
    secret: bytes

    @classmethod
    def new(cls, user_id: UUID) -> Self:
        """Create the first token of a family."""
        return cls(user_id, secrets.token_bytes(REFRESH_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a token as clients send it. Raises InvalidRefreshToken."""
        try:
            raw = base64.b64decode(text.removeprefix(cls.PREFIX), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as exc:
            raise InvalidRefreshToken("not base64url") from exc
        if not text.startswith(cls.PREFIX) or len(raw) != 16 + REFRESH_SECRET_BYTES:
            raise InvalidRefreshToken("wrong prefix or length")
        return cls(UUID(bytes=raw[:16]), raw[16:])

    def successor(self, key: bytes) -> Self:
        """Return the only token that this token can be exchanged for."""
        return type(self)(self.user_id, hmac.digest(key, self.secret, "sha256"))

    @property
    def hash(self) -> bytes:
        """The SHA-256 of the secret, as stored."""
        return hashlib.sha256(self.secret).digest()

    def __str__(self) -> str:
        return self.PREFIX + base64.urlsafe_b64encode(self.user_id.bytes + self.secret).decode()


class ClientRefreshToken(RefreshToken):
    """A refresh token of an MCP client. Its hash differs from that of a user's own token with the same secret.

    So the token does not become a user's by a change of its prefix, not even in an earlier release.
    """

    PREFIX = "pcr_"

    @property
    def hash(self) -> bytes:
        """The SHA-256 of the word `client` and the secret, as stored."""
        return hashlib.sha256(b"client" + self.secret).digest()


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """A session's idle timeout and its maximum lifetime. A refresh restarts only the idle timeout.

    With `admins_need_factor`, an admin's session that began without a second factor lives as an ordinary user's. With
    `users_need_factor`, any user's may only add a factor.
    """

    idle: timedelta
    absolute: timedelta
    admins_need_factor: bool
    users_need_factor: bool

    def needs_factor(self, role: str) -> bool:
        """Return whether a user of this role needs a second factor."""
        return self.users_need_factor or (self.admins_need_factor and role == "admin")

    def scopes_of(self, role: str, *, has_second_factor: bool) -> frozenset[str]:
        """Return the scopes of a user's own session."""
        if has_second_factor or not self.needs_factor(role):
            return ADMIN_SCOPES if role == "admin" else USER_SCOPES
        return frozenset({ENROLMENT_SCOPE}) if self.users_need_factor else USER_SCOPES


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """A user with a new pair of tokens. `scopes` are those of the access token."""

    user: users.User
    access_token: str
    refresh_token: str
    scopes: frozenset[str]

    @property
    def needs_second_factor(self) -> bool:
        """Whether the session may only add a second factor, because the deployment demands one."""
        return ENROLMENT_SCOPE in self.scopes


def start_session(
    connection: Connection,
    user_id: UUID,
    password_hash: str,
    *,
    key_ring: KeyRing,
    lifetimes: Lifetimes,
    origin: ClientOrigin,
    reset_buckets: sessions.LoginBuckets | None,
    has_second_factor: bool = False,
) -> IssuedTokens:
    """Store a session for a user whose password was checked.

    Raises InvalidCredentials if the password has changed since then, or the user has a second factor and the session none.
    `reset_buckets` holds the login throttle's buckets to reset, if any.
    """
    token, session_id = RefreshToken.new(user_id), new_id()
    session = sessions.NewSession(session_id, token.hash, utc_now() + lifetimes.absolute, has_second_factor)
    user = sessions.start_session(connection, user_id, password_hash, session, origin=origin, reset_buckets=reset_buckets)
    if user is None:
        raise InvalidCredentials(f"the password or the second factor of {user_id} was changed during login")
    return issue_tokens(user, session_id, token, key_ring, scopes=lifetimes.scopes_of(user.role, has_second_factor=has_second_factor))


def end_session(connection: Connection, principal: Principal, session_id: UUID, *, origin: ClientOrigin) -> None:
    """End one of the user's sessions, or raise NotFound."""
    if not sessions.end(connection, session_id, user_id=principal.user_id):
        raise NotFound("session", session_id)
    audit.add(connection, principal.user_id, "session_ended", origin, session_id=str(session_id))


def refresh(
    engine: Engine,
    key_ring: KeyRing,
    text: str,
    *,
    lifetimes: Lifetimes,
    origin: ClientOrigin,
    received_at: datetime,
    client_id: str | None = None,
) -> IssuedTokens:
    """Exchange a refresh token for a new pair, or raise InvalidRefreshToken. An MCP client's token works for `client_id` only.

    A token works once. A repeat within the grace period, by a client that lost the response or by a second tab, returns
    the same successor. A later repeat, or a repeat of an older token, counts as theft and ends the session. The time of a repeat is
    `received_at`, when the gateway received it: under load, a request may wait for longer than the grace period.
    """
    token = (ClientRefreshToken if client_id else RefreshToken).parse(text)
    with user_scope(engine, token.user_id) as connection:
        outcome = _rotate(connection, token, key_ring, lifetimes=lifetimes, origin=origin, received_at=received_at, client_id=client_id)
    if outcome == "refused":
        raise InvalidRefreshToken(f"invalid, expired or reused refresh token of {token.user_id}")
    return outcome


def _rotate(
    connection: Connection,
    token: RefreshToken,
    key_ring: KeyRing,
    *,
    lifetimes: Lifetimes,
    origin: ClientOrigin,
    received_at: datetime,
    client_id: str | None,
) -> IssuedTokens | Literal["refused"]:
    """Rotate the token. Return "refused" instead of raising, so that the end of the session after a theft is committed."""
    locked = sessions.lock(connection, token.hash, user_id=token.user_id)
    now = utc_now()
    if locked is None or locked[0].client_id != client_id or _is_expired(locked[0], lifetimes, now=now):
        return "refused"
    if client_id is not None and lifetimes.users_need_factor and not locked[0].has_second_factor:
        # The session that admitted the client could not admit it today.
        return "refused"
    session, stored = locked
    successor = token.successor(key_ring.refresh_secret)
    if stored.used_at is None:
        user = sessions.rotate(connection, session.id, token.hash, successor.hash, user_id=token.user_id, at=now)
    elif _is_in_grace(connection, stored, successor, received_at=received_at):
        user = users.get(connection, token.user_id)
    else:
        sessions.end(connection, session.id, user_id=token.user_id)
        audit.add(connection, token.user_id, "refresh_token_reused", origin, session_id=str(session.id))
        return "refused"
    if session.scopes is not None:
        return issue_client_tokens(user, session.id, successor, key_ring, scopes=session.scopes)
    scopes = lifetimes.scopes_of(user.role, has_second_factor=session.has_second_factor)
    return issue_tokens(user, session.id, successor, key_ring, scopes=scopes)


def _is_expired(session: sessions.Session, lifetimes: Lifetimes, *, now: datetime) -> bool:
    return session.ended_at is not None or session.expires_at <= now or session.last_used_at + lifetimes.idle <= now


def _is_in_grace(connection: Connection, used: sessions.StoredRefreshToken, successor: RefreshToken, *, received_at: datetime) -> bool:
    """Whether the successor of a used token is still unused, and the repeat was received within the grace period after its use."""
    newest = sessions.find_token(connection, successor.hash, user_id=successor.user_id)
    is_parent = newest is not None and newest.used_at is None
    return is_parent and used.used_at is not None and received_at - used.used_at <= REUSE_GRACE


def issue_tokens(user: users.User, session_id: UUID, token: RefreshToken, key_ring: KeyRing, *, scopes: frozenset[str]) -> IssuedTokens:
    """Sign an access token of the user's own session, and return it with the refresh token."""
    access_token = issue_token(user.id, session_id, scopes, key=key_ring.newest, issuer=key_ring.issuer, now=utc_now())
    return IssuedTokens(user, access_token, str(token), scopes)


def issue_client_tokens(user: users.User, session_id: UUID, token: RefreshToken, key_ring: KeyRing, *, scopes: list[str]) -> IssuedTokens:
    """Sign an access token of an MCP client's session, and return it with the refresh token."""
    granted = frozenset(scopes)
    access_token = issue_client_token(user.id, session_id, granted, key=key_ring.newest, issuer=key_ring.issuer, now=utc_now())
    return IssuedTokens(user, access_token, str(token), granted)
