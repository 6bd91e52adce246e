"""What a sign-in asks and changes, in as few statements as can be: it is the call that everybody waits for."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from parley.auth.origin import Origin
from parley.db import guesses
from parley.db.guesses import Bucket
from parley.db.users import User
from parley.ids import new_id


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who signs in with an address, if anybody, and whether a password may be tried now.

    `wait_s` is None if it may. `password_hash` is None where nobody has the address, or who has is disabled.
    """

    user_id: UUID | None
    password_hash: str | None
    wait_s: float | None


@dataclass(frozen=True, slots=True)
class Buckets:
    """What a guess is counted in: its network, then its account, then everything.

    `known` stands in for `account`, and `overall_known` for `overall`, where the account has signed in from this network in the last
    30 days: strangers who keep guessing shut out strangers, never the owner at home.
    """

    network: Bucket
    account: Bucket
    known: Bucket
    overall: Bucket
    overall_known: Bucket

    @property
    def of_account(self) -> list[bytes]:
        """The keys that a right password empties."""
        return [self.account.key, self.known.key]


_WHO = """
    who AS MATERIALIZED (
        SELECT u.id, CASE WHEN u.disabled_at IS NULL THEN c.password_hash END AS password_hash,
               EXISTS (SELECT FROM sessions s WHERE s.user_id = u.id AND s.address = :network
                          AND s.created_at > now() - interval '30 days') AS is_known
          FROM users u JOIN credentials c ON c.user_id = u.id WHERE u.email = :email
    ),"""
_CHOSEN = ", who.id, who.password_hash, coalesce(who.is_known, false) AS is_known FROM (VALUES (1)) AS one LEFT JOIN who ON true"
_AT_HOME = "EXISTS (SELECT FROM who WHERE is_known)"
_KEYS = [":key0", f"CASE WHEN {_AT_HOME} THEN :known ELSE :key1 END", f"CASE WHEN {_AT_HOME} THEN :overall_known ELSE :key2 END"]
_ATTEMPT = text(guesses.statement(_KEYS, who=_WHO, chosen=_CHOSEN))
# The proven hash and the account are locked while the session starts: who changes the password or disables the account meanwhile
# ends this session too, or comes first and leaves nothing that is proven.
_START = text(
    """
    WITH proven AS (
        SELECT c.user_id FROM credentials c JOIN users u ON u.id = c.user_id
         WHERE c.user_id = :user_id AND c.password_hash = :password_hash AND u.disabled_at IS NULL FOR SHARE
    ), started AS (
        INSERT INTO sessions (user_id, id, expires_at, address, user_agent)
        SELECT user_id, :session_id, :expires_at, :network, :user_agent FROM proven
    ), held AS (
        INSERT INTO refresh_tokens (user_id, hash, session_id) SELECT user_id, :hash, :session_id FROM proven
    ), emptied AS (
        DELETE FROM guesses USING proven WHERE key = ANY(:keys) RETURNING in_a_row
    ), noted AS (
        INSERT INTO audit_events (user_id, id, event, address, user_agent, detail)
        SELECT user_id, :event_id, 'login', :address, :user_agent, jsonb_build_object(
               'session_id', CAST(:session_id AS text), 'failed_before', (SELECT coalesce(sum(in_a_row) - 1, 0) FROM emptied))
          FROM proven
    )
    SELECT users.* FROM users JOIN proven ON users.id = proven.user_id
    """
)


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to store: its id, the hash of its first refresh token, and its end whatever happens."""

    id: UUID
    token_hash: bytes
    expires_at: datetime


def attempt(connection: Connection, email: str, network: str, buckets: Buckets) -> Attempt:
    """Count a guess at the password of `email`, and say what to compare it with. Needs the background role."""
    values = guesses.parameters([buckets.network, buckets.account, buckets.overall])
    keys = {"known": buckets.known.key, "overall_known": buckets.overall_known.key}
    found = connection.execute(_ATTEMPT, values | keys | {"email": email, "network": network}).one()
    counted = [buckets.network, *((buckets.known, buckets.overall_known) if found.is_known else (buckets.account, buckets.overall))]
    wait_s = None if found.is_let_in else guesses.wait_s(connection, counted)
    return Attempt(found.id, found.password_hash, wait_s)


def start(
    connection: Connection, user_id: UUID, password_hash: str, session: NewSession, *, origin: Origin, emptied: Buckets | None
) -> User | None:
    """Store the session, note the login and empty the account's buckets; return the user.

    None if the password is another by now than the one that was proven, or the account is disabled.
    """
    values = {"user_id": user_id, "password_hash": password_hash, "event_id": new_id(), "keys": emptied.of_account if emptied else []}
    values |= {"session_id": session.id, "hash": session.token_hash, "expires_at": session.expires_at}
    values |= {"network": origin.network, "address": origin.address, "user_agent": origin.user_agent}
    row = connection.execute(_START, values).one_or_none()
    return User(**row._mapping) if row else None
