"""Authorization codes of MCP clients. Each starts the session that its user's consent created; only its hash is stored.

The session exists from the consent on, and until the exchange it lives only as long as the code. Whatever ends all of the user's
sessions in between, such as a new password, thus ends this session too.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from parley.auth.client_origin import ClientOrigin
from parley.db.accounts.users import User


@dataclass(frozen=True, slots=True)
class NewAuthorization:
    """A consent to store: the client's session with its scopes, and the code with the properties that its exchange must repeat.

    The client's session has a second factor if the user's session `approved_by` has one.
    """

    session_id: UUID
    approved_by: UUID | None
    client_id: str
    client_name: str
    scopes: list[str]
    code_hash: bytes
    redirect_uri: str
    code_challenge: str
    resource: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class StoredAuthorizationCode:
    """A stored code with its session's client and scopes, which the code of a user's own program lacks (`oidc.LoginCode`).

    `used_at` is set once the code has been exchanged.
    """

    session_id: UUID
    client_id: str | None
    scopes: list[str] | None
    redirect_uri: str
    code_challenge: str
    resource: str
    expires_at: datetime
    used_at: datetime | None


def add(connection: Connection, authorization: NewAuthorization, *, user_id: UUID, origin: ClientOrigin) -> None:
    """Store the session and its code. `origin` is the browser in which the user consented."""
    values = {name: getattr(authorization, name) for name in NewAuthorization.__slots__}
    connection.execute(_ADD, values | {"user_id": user_id, "address": origin.network, "user_agent": origin.user_agent})


def lock(connection: Connection, code_hash: bytes, *, user_id: UUID) -> StoredAuthorizationCode | None:
    """Return the code with this hash, or None, and lock it until the transaction ends."""
    row = connection.execute(_LOCK, {"user_id": user_id, "hash": code_hash}).one_or_none()
    return StoredAuthorizationCode(**row._mapping) if row else None


def redeem(
    connection: Connection, code_hash: bytes, session_id: UUID, *, user_id: UUID, token_hash: bytes, expires_at: datetime
) -> User | None:
    """Use up the code, extend its session to `expires_at`, store the session's first refresh token, and return the user.

    Returns None if the session has ended or the account is disabled. Requires the lock of the code.
    """
    values = {"user_id": user_id, "hash": code_hash, "session_id": session_id, "token_hash": token_hash, "expires_at": expires_at}
    row = connection.execute(_REDEEM, values).one_or_none()
    return User(**row._mapping) if row else None


_ADD = text(
    """
    WITH started AS (
        INSERT INTO sessions (user_id, id, expires_at, address, user_agent, client_id, client_name, scopes, has_second_factor)
        VALUES (:user_id, :session_id, :expires_at, :address, :user_agent, :client_id, :client_name, :scopes,
                EXISTS (SELECT FROM sessions s WHERE s.user_id = :user_id AND s.id = CAST(:approved_by AS uuid) AND s.has_second_factor))
    )
    INSERT INTO authorization_codes (user_id, hash, session_id, redirect_uri, code_challenge, resource, expires_at)
    VALUES (:user_id, :code_hash, :session_id, :redirect_uri, :code_challenge, :resource, :expires_at)
    """
)
_LOCK = text(
    """
    SELECT c.session_id, s.client_id, s.scopes, c.redirect_uri, c.code_challenge, c.resource, c.expires_at, c.used_at
      FROM authorization_codes c JOIN sessions s ON s.user_id = c.user_id AND s.id = c.session_id
     WHERE c.user_id = :user_id AND c.hash = :hash FOR UPDATE OF c
    """
)
_REDEEM = text(
    """
    WITH extended AS (
        UPDATE sessions SET expires_at = :expires_at, last_used_at = now()
         WHERE user_id = :user_id AND id = :session_id AND ended_at IS NULL AND expires_at > now()
           AND EXISTS (SELECT FROM users u WHERE u.id = :user_id AND u.disabled_at IS NULL)
        RETURNING user_id
    ), used AS (
        UPDATE authorization_codes SET used_at = now() WHERE user_id = :user_id AND hash = :hash
    ), stored AS (
        INSERT INTO refresh_tokens (user_id, hash, session_id) SELECT user_id, :token_hash, :session_id FROM extended
    )
    SELECT users.* FROM users JOIN extended ON users.id = extended.user_id
    """
)
