"""Sessions: one for each login, with a family of refresh tokens (RFC 9700). Only the hashes of tokens are stored.

A login uses as few statements as possible, because the user waits for it.
"""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Engine, func, select, text, update

from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import login_throttle
from parley.db.accounts.login_throttle import ThrottleBucket
from parley.db.accounts.users import User
from parley.db.tables import refresh_tokens, sessions
from parley.db.transactions import global_scope, run_global_statement
from parley.ids import new_id

_LIVE = (sessions.c.ended_at.is_(None), sessions.c.expires_at > func.now())


@dataclass(frozen=True, slots=True)
class Session:
    """A session. It is live until `expires_at`, unless it was ended before. A session of an MCP client has its id and its scopes.

    `has_second_factor` is whether it began with a second factor, or at an issuer, which has its own.
    """

    id: UUID
    last_used_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    client_id: str | None
    scopes: list[str] | None
    has_second_factor: bool


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """A live session as its user sees it. For an IPv6 client, `address` is its /64 network. A user's own login has no `client_name`."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None
    client_name: str | None


@dataclass(frozen=True, slots=True)
class StoredRefreshToken:
    """A stored refresh token. `used_at` is set once the token has been exchanged for its successor."""

    hash: bytes
    session_id: UUID
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to store, with the hash of its first refresh token. `expires_at` is its latest possible end."""

    id: UUID
    token_hash: bytes
    expires_at: datetime
    has_second_factor: bool


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """The result of `count_attempt`: the account, its password hash, and whether the password may be checked now.

    `wait_s` is None if the password may be checked, else the seconds to wait. `user_id` is None if no account has the address.
    `password_hash` is None if no account has the address or the account is disabled. With `has_second_factor`, the account's password
    alone starts no session.
    """

    user_id: UUID | None
    password_hash: str | None
    has_second_factor: bool
    wait_s: float | None


@dataclass(frozen=True, slots=True)
class LoginBuckets:
    """The buckets of a login attempt, for its network, its account and the whole deployment. They are taken in this order.

    `known` replaces `account`, and `overall_known` replaces `overall`, if the account has logged in from this network in the
    last 30 days. An attacker can therefore lock out only unknown networks, never the owner at home. `refunds` counts the
    attempts with a correct password that were removed from the network's bucket again.
    """

    network: ThrottleBucket
    account: ThrottleBucket
    known: ThrottleBucket
    refunds: ThrottleBucket
    overall: ThrottleBucket
    overall_known: ThrottleBucket

    @property
    def account_keys(self) -> list[bytes]:
        """The keys of the buckets that a correct password empties."""
        return [self.account.key, self.known.key]


def count_attempt(engine: Engine, email: str, network: str, buckets: LoginBuckets) -> LoginAttempt:
    """Count a login attempt for `email` and return the hash to check the password against. `engine` has the background role.

    If the connection breaks, the attempt may be counted twice.
    """
    values = login_throttle.take_parameters([buckets.network, buckets.account, buckets.overall])
    keys = {"known": buckets.known.key, "overall_known": buckets.overall_known.key}
    row = run_global_statement(engine, _ATTEMPT, **values, **keys, email=email, network=network)
    counted = [buckets.network, *((buckets.known, buckets.overall_known) if row.is_known else (buckets.account, buckets.overall))]
    wait_s = None
    if not row.is_allowed:
        with global_scope(engine) as connection:
            wait_s = login_throttle.wait_s(connection, counted)
    return LoginAttempt(row.id, row.password_hash, row.has_second_factor, wait_s)


def start_session(
    connection: Connection,
    user_id: UUID,
    password_hash: str,
    session: NewSession,
    *,
    origin: ClientOrigin,
    reset_buckets: LoginBuckets | None,
) -> User | None:
    """Store the session, log the login in the audit log, and empty the account's login buckets; return the user.

    Returns None if the account is disabled, if its password hash is no longer `password_hash`, which the caller has verified, or if it has
    a second factor and the session none. The caller has locked the credentials, so that no factor is confirmed meanwhile.
    """
    keys = reset_buckets.account_keys if reset_buckets else []
    values = {"user_id": user_id, "password_hash": password_hash, "event_id": new_id(), "keys": keys}
    values |= {"session_id": session.id, "hash": session.token_hash, "expires_at": session.expires_at}
    values |= {"has_second_factor": session.has_second_factor}
    values |= {"network": origin.network, "address": origin.address, "user_agent": origin.user_agent, "region": origin.region}
    row = connection.execute(_START_SESSION, values).one_or_none()
    return User(**row._mapping) if row else None


def page(connection: Connection, *, user_id: UUID, idle: timedelta, limit: int, after: UUID | None) -> list[ActiveSession]:
    """Return up to `limit` live sessions that follow the session `after`, newest first.

    A session unused for `idle` is not live.
    """
    is_used = sessions.c.last_used_at > func.now() - idle
    statement = select(*(sessions.c[field.name] for field in fields(ActiveSession))).where(sessions.c.user_id == user_id, is_used, *_LIVE)
    statement = statement.where(sessions.c.id < after) if after else statement
    rows = connection.execute(statement.order_by(sessions.c.id.desc()).limit(limit))
    return [ActiveSession(**row._mapping) for row in rows]


def lock(connection: Connection, token_hash: bytes, *, user_id: UUID) -> tuple[Session, StoredRefreshToken] | None:
    """Return the refresh token with this hash and its session, or None, and lock both until the transaction ends.

    The session can then not be refreshed and ended concurrently. Both rows are as they are once the lock is held: another process
    may have used the token while this statement waited.
    """
    row = connection.execute(_LOCK_SESSION, {"user_id": user_id, "hash": token_hash}).one_or_none()
    if row is None:
        return None
    session = Session(row.id, row.last_used_at, row.expires_at, row.ended_at, row.client_id, row.scopes, row.has_second_factor)
    return session, StoredRefreshToken(token_hash, row.id, row.used_at)


def rotate(connection: Connection, session_id: UUID, token_hash: bytes, successor_hash: bytes, *, user_id: UUID, at: datetime) -> User:
    """Record that the token was exchanged for its successor at `at`, and return the user. Requires the lock of the session."""
    values = {"user_id": user_id, "session_id": session_id, "hash": token_hash, "successor": successor_hash, "at": at}
    return User(**connection.execute(_ROTATE, values).one()._mapping)


def end(connection: Connection, session_id: UUID, *, user_id: UUID) -> bool:
    """End one session; its tokens stop working immediately. Returns False if there is no such live session."""
    return _end_matching(connection, sessions.c.user_id == user_id, sessions.c.id == session_id) == 1


def end_all(connection: Connection, *, user_id: UUID, but: UUID | None = None) -> int:
    """End all of the user's sessions except `but`, and return their number."""
    return _end_matching(connection, sessions.c.user_id == user_id, *([sessions.c.id != but] if but else []))


def _end_matching(connection: Connection, *which: ColumnElement[bool]) -> int:
    return connection.execute(update(sessions).where(*which, sessions.c.ended_at.is_(None)).values(ended_at=func.now())).rowcount


def sweep(connection: Connection) -> int:
    """Delete sessions that expired over 30 days ago, with their tokens, and return their number. Requires the background role."""
    return connection.execute(text("DELETE FROM sessions WHERE expires_at < now() - interval '30 days'")).rowcount


def find_token(connection: Connection, token_hash: bytes, *, user_id: UUID) -> StoredRefreshToken | None:
    """Return the refresh token with this hash, or None."""
    columns = (refresh_tokens.c.hash, refresh_tokens.c.session_id, refresh_tokens.c.used_at)
    statement = select(*columns).where(refresh_tokens.c.user_id == user_id, refresh_tokens.c.hash == token_hash)
    row = connection.execute(statement).one_or_none()
    return StoredRefreshToken(**row._mapping) if row else None


_LOCK_SESSION = text(
    """
    SELECT s.id, s.last_used_at, s.expires_at, s.ended_at, s.client_id, s.scopes, s.has_second_factor, t.used_at
      FROM sessions s JOIN refresh_tokens t ON t.user_id = s.user_id AND t.session_id = s.id
     WHERE t.user_id = :user_id AND t.hash = :hash FOR UPDATE OF s, t
    """
)
_ROTATE = text(
    """
    WITH used AS (
        UPDATE refresh_tokens SET used_at = :at WHERE user_id = :user_id AND hash = :hash
    ), stored AS (
        INSERT INTO refresh_tokens (user_id, hash, session_id, parent_hash) VALUES (:user_id, :successor, :session_id, :hash)
    ), touched AS (
        UPDATE sessions SET last_used_at = :at WHERE user_id = :user_id AND id = :session_id
    )
    SELECT users.* FROM users WHERE id = :user_id
    """
)
_ACCOUNT_CTE = """
    account AS MATERIALIZED (
        SELECT u.id, CASE WHEN u.disabled_at IS NULL THEN c.password_hash END AS password_hash,
               EXISTS (SELECT FROM sessions s WHERE s.user_id = u.id AND s.address = :network
                          AND s.created_at > now() - interval '30 days') AS is_known,
               EXISTS (SELECT FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS has_second_factor
          FROM users u JOIN credentials c ON c.user_id = u.id WHERE u.email = :email
    ),"""
_ATTEMPT_COLUMNS = """, account.id, account.password_hash, coalesce(account.is_known, false) AS is_known,
                        coalesce(account.has_second_factor, false) AS has_second_factor
                        FROM (VALUES (1)) AS one LEFT JOIN account ON true"""
_IS_KNOWN_NETWORK = "EXISTS (SELECT FROM account WHERE is_known)"
_BUCKET_KEYS = [
    ":key0",
    f"CASE WHEN {_IS_KNOWN_NETWORK} THEN :known ELSE :key1 END",
    f"CASE WHEN {_IS_KNOWN_NETWORK} THEN :overall_known ELSE :key2 END",
]
_ATTEMPT = text(login_throttle.take_statement(_BUCKET_KEYS, ctes=_ACCOUNT_CTE, columns=_ATTEMPT_COLUMNS))
# The credentials and the account are locked while the session starts. A concurrent change of the password or disabling of the
# account either comes first, and no row matches the verified hash, or comes later and ends the new session too.
_START_SESSION = text(
    """
    WITH verified AS (
        SELECT c.user_id FROM credentials c JOIN users u ON u.id = c.user_id
         WHERE c.user_id = :user_id AND c.password_hash = :password_hash AND u.disabled_at IS NULL
           AND (:has_second_factor OR NOT EXISTS (SELECT FROM second_factors f WHERE f.user_id = c.user_id AND f.confirmed_at IS NOT NULL))
           FOR SHARE
    ), started AS (
        INSERT INTO sessions (user_id, id, expires_at, address, user_agent, has_second_factor)
        SELECT user_id, :session_id, :expires_at, :network, :user_agent, :has_second_factor FROM verified
    ), stored_token AS (
        INSERT INTO refresh_tokens (user_id, hash, session_id) SELECT user_id, :hash, :session_id FROM verified
    ), cleared AS (
        DELETE FROM guesses USING verified WHERE key = ANY(:keys) RETURNING in_a_row
    ), logged AS (
        INSERT INTO audit_events (user_id, id, event, address, user_agent, detail)
        SELECT user_id, :event_id, 'login', :address, :user_agent, jsonb_build_object(
               'session_id', CAST(:session_id AS text), 'failed_before', (SELECT coalesce(sum(in_a_row) - 1, 0) FROM cleared))
          FROM verified
    ), recorded AS (
        INSERT INTO deployment_audit (id, action, actor, actor_id, account_id, network, outcome, detail)
        SELECT :event_id, 'login', 'user', user_id, user_id, CAST(:region AS text), 'done',
               jsonb_build_object('session_id', CAST(:session_id AS text))
          FROM verified
    )
    SELECT users.* FROM users JOIN verified ON users.id = verified.user_id
    """
)
