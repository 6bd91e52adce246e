"""Logins by OpenID Connect: logins in progress, users' identities at issuers, and sessions that an issuer started.

Logins in progress and used logout tokens belong to no user: their functions require the background role.
"""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, TextClause, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.auth.client_origin import ClientOrigin
from parley.db.accounts.users import User
from parley.db.tables import credentials, oidc_identities, oidc_logins, oidc_logout_tokens, sessions, users
from parley.db.transactions import lock_until_end
from parley.ids import new_id


@dataclass(frozen=True, slots=True)
class OidcLogin:
    """A login in progress. `browser_hash` binds it to one browser. A program's login has a `redirect_uri` and a `code_challenge`."""

    state_hash: bytes
    issuer: str
    nonce: str
    code_verifier: str
    browser_hash: bytes
    redirect_uri: str | None
    code_challenge: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AddressHolder:
    """The account with an address. `is_verified` is whether its owner has proven the address."""

    user_id: UUID
    is_verified: bool


@dataclass(frozen=True, slots=True)
class OidcSession:
    """A session to store, with the issuer and the issuer's own session, if it names one."""

    id: UUID
    issuer: str
    issuer_session: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LoginCode:
    """The code with which a program fetches the tokens of its login."""

    hash: bytes
    redirect_uri: str
    code_challenge: str
    expires_at: datetime


def add_login(connection: Connection, login: OidcLogin) -> None:
    """Store a login in progress."""
    connection.execute(insert(oidc_logins).values({field.name: getattr(login, field.name) for field in fields(OidcLogin)}))


def take_login(connection: Connection, state_hash: bytes) -> OidcLogin | None:
    """Delete and return the login with this state, or return None. Only one of two concurrent calls receives it."""
    columns = [oidc_logins.c[field.name] for field in fields(OidcLogin)]
    row = connection.execute(delete(oidc_logins).where(oidc_logins.c.state_hash == state_hash).returning(*columns)).one_or_none()
    return OidcLogin(**row._mapping) if row else None


def sweep_logins(connection: Connection) -> int:
    """Delete expired logins and return their number."""
    return connection.execute(delete(oidc_logins).where(oidc_logins.c.expires_at < func.now())).rowcount


def use_logout_token(connection: Connection, token_hash: bytes, *, expires_at: datetime) -> bool:
    """Record a logout token; return False if it was used before."""
    statement = upsert(oidc_logout_tokens).values(hash=token_hash, expires_at=expires_at).on_conflict_do_nothing(index_elements=["hash"])
    return connection.execute(statement.returning(oidc_logout_tokens.c.hash)).one_or_none() is not None


def sweep_logout_tokens(connection: Connection) -> int:
    """Delete records of logout tokens that have expired, and return their number."""
    return connection.execute(delete(oidc_logout_tokens).where(oidc_logout_tokens.c.expires_at < func.now())).rowcount


def find_owner(connection: Connection, *, issuer: str, subject: str) -> UUID | None:
    """Return the id of the account with this identity, or None. Requires the background role."""
    which = (oidc_identities.c.issuer == issuer, oidc_identities.c.subject == subject)
    return connection.execute(select(oidc_identities.c.user_id).where(*which)).scalar_one_or_none()


def find_address(connection: Connection, email: str) -> AddressHolder | None:
    """Return the account with this address, even a disabled one, or None. Requires the background role."""
    is_verified = func.coalesce(credentials.c.verified_email == users.c.email, False)
    statement = select(users.c.id, is_verified).join(credentials, credentials.c.user_id == users.c.id).where(users.c.email == email)
    row = connection.execute(statement).one_or_none()
    return AddressHolder(*row) if row else None


def add_identity(connection: Connection, *, user_id: UUID, issuer: str, subject: str) -> None:
    """Store the user's identity at an issuer. The caller holds the lock of this identity, so that no other account gets it too."""
    connection.execute(insert(oidc_identities).values(user_id=user_id, issuer=issuer, subject=subject))


def remove_identities(connection: Connection, *, user_id: UUID) -> None:
    """Delete the user's identities at all issuers. The caller has locked or changed the credentials, so nobody adds one meanwhile."""
    connection.execute(delete(oidc_identities).where(oidc_identities.c.user_id == user_id))


def lock_identity(connection: Connection, *, user_id: UUID, issuer: str, subject: str) -> bool:
    """Return whether the user has this identity. If so, it is not removed until the transaction ends."""
    # Two statements: the second one sees what the owner of the lock did while the first one waited.
    connection.execute(select(credentials.c.user_id).where(credentials.c.user_id == user_id).with_for_update(read=True))
    which = (oidc_identities.c.user_id == user_id, oidc_identities.c.issuer == issuer, oidc_identities.c.subject == subject)
    return connection.execute(select(oidc_identities.c.user_id).where(*which)).one_or_none() is not None


def start_session(connection: Connection, user_id: UUID, session: OidcSession, *, token_hash: bytes, origin: ClientOrigin) -> User | None:
    """Store a session with its first refresh token and log the login; return the user, or None if the account is disabled."""
    return _started(connection, _START, user_id, session, origin, {"hash": token_hash})


def start_session_by_code(
    connection: Connection, user_id: UUID, session: OidcSession, code: LoginCode, *, origin: ClientOrigin
) -> User | None:
    """Store a session without tokens, and the code that extends it; return the user, or None if the account is disabled.

    The session lives as long as the code until `authorization_codes.redeem` extends it.
    """
    values = {"hash": code.hash, "redirect_uri": code.redirect_uri, "code_challenge": code.code_challenge}
    return _started(connection, _START_BY_CODE, user_id, session, origin, values | {"code_expires_at": code.expires_at})


def lock_issuer_session(connection: Connection, *, issuer: str, issuer_session: str) -> None:
    """Let no other transaction start or end a session of this session of the issuer until this one ends. It comes before any row's lock."""
    lock_until_end(connection, f"session {issuer_session} of {issuer}")


def find_session_owner(connection: Connection, *, issuer: str, issuer_session: str) -> UUID | None:
    """Return the user whose live session belongs to this session of the issuer, or None. Requires the background role."""
    which = (sessions.c.oidc_issuer == issuer, sessions.c.oidc_session == issuer_session, sessions.c.ended_at.is_(None))
    return connection.execute(select(sessions.c.user_id).where(*which).limit(1)).scalar_one_or_none()


def end_sessions(connection: Connection, *, user_id: UUID, issuer: str, issuer_session: str) -> int:
    """End the user's sessions that belong to this session of the issuer, and return their number."""
    which = (sessions.c.user_id == user_id, sessions.c.oidc_issuer == issuer, sessions.c.oidc_session == issuer_session)
    return connection.execute(update(sessions).where(*which, sessions.c.ended_at.is_(None)).values(ended_at=func.now())).rowcount


def issuer_of(connection: Connection, session_id: UUID, *, user_id: UUID) -> str | None:
    """Return the address of the issuer that started this session, or None."""
    which = (sessions.c.user_id == user_id, sessions.c.id == session_id)
    issuer: str | None = connection.execute(select(sessions.c.oidc_issuer).where(*which)).scalar_one_or_none()
    return issuer


def has_recent_login(connection: Connection, session_id: UUID, *, user_id: UUID, within: timedelta) -> bool:
    """Return whether an issuer started this session within this time."""
    which = (sessions.c.user_id == user_id, sessions.c.id == session_id, sessions.c.oidc_issuer.is_not(None))
    is_recent = sessions.c.created_at > func.now() - within
    return connection.execute(select(sessions.c.id).where(*which, is_recent)).one_or_none() is not None


def _started(
    connection: Connection, statement: TextClause, user_id: UUID, session: OidcSession, origin: ClientOrigin, more: dict[str, object]
) -> User | None:
    values: dict[str, object] = {"user_id": user_id, "session_id": session.id, "expires_at": session.expires_at, "event_id": new_id()}
    values |= {"issuer": session.issuer, "issuer_session": session.issuer_session}
    values |= {"network": origin.network, "address": origin.address, "user_agent": origin.user_agent, "region": origin.region}
    row = connection.execute(statement, values | more).one_or_none()
    return User(**row._mapping) if row else None


# The account is locked while the session starts: disabling it either comes first, or comes later and ends the new session too.
_STARTED = """
    WITH allowed AS (
        SELECT u.id FROM credentials c JOIN users u ON u.id = c.user_id
         WHERE c.user_id = :user_id AND u.disabled_at IS NULL FOR SHARE
    ), started AS (
        INSERT INTO sessions (user_id, id, expires_at, address, user_agent, has_second_factor, oidc_issuer, oidc_session)
        SELECT id, :session_id, :expires_at, :network, :user_agent, true, :issuer, :issuer_session FROM allowed
    ), logged AS (
        INSERT INTO audit_events (user_id, id, event, address, user_agent, detail)
        SELECT id, :event_id, 'login', :address, :user_agent,
               jsonb_build_object('session_id', CAST(:session_id AS text), 'issuer', CAST(:issuer AS text))
          FROM allowed
    ), recorded AS (
        INSERT INTO deployment_audit (id, action, actor, actor_id, account_id, network, outcome, detail)
        SELECT :event_id, 'login', 'user', id, id, CAST(:region AS text), 'done',
               jsonb_build_object('session_id', CAST(:session_id AS text), 'issuer', CAST(:issuer AS text))
          FROM allowed
    )"""
_USER = "SELECT users.* FROM users JOIN allowed ON users.id = allowed.id"
_START = text(
    f"""{_STARTED}, stored_token AS (
        INSERT INTO refresh_tokens (user_id, hash, session_id) SELECT id, :hash, :session_id FROM allowed
    )
    {_USER}"""  # noqa: S608 - constants only
)
_START_BY_CODE = text(
    f"""{_STARTED}, stored_code AS (
        INSERT INTO authorization_codes (user_id, hash, session_id, redirect_uri, code_challenge, resource, expires_at)
        SELECT id, :hash, :session_id, :redirect_uri, :code_challenge, '', :code_expires_at FROM allowed
    )
    {_USER}"""  # noqa: S608 - constants only
)
