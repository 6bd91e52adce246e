"""API keys: made once, shown once."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from functions.auth.errors import TooManyApiKeys
from parley.auth.api_keys import MAX_LIFETIME, issue_api_key
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import API_KEY_SCOPES, Principal
from parley.auth.signing_keys import KeyRing
from parley.clock import utc_now
from parley.db.accounts import api_keys, audit
from parley.errors import InvalidInput
from parley.ids import new_id

MAX_API_KEYS = 50


@dataclass(frozen=True, slots=True)
class IssuedApiKey:
    """A new key and what is stored of it; `key` is never to be had again."""

    stored: api_keys.ApiKey
    key: str


@dataclass(frozen=True, slots=True)
class ApiKeyRequest:
    """What a key shall be: by default for all that keys may do, for a year, and with no limits but its user's."""

    name: str
    scopes: list[str] | None
    expires_at: datetime | None
    rate_per_minute: int | None = None
    monthly_budget_usd: float | None = None


def issue_key(
    connection: Connection, principal: Principal, key_ring: KeyRing, key_request: ApiKeyRequest, *, origin: ClientOrigin
) -> IssuedApiKey:
    """Sign and store a key. Raises InvalidInput and TooManyApiKeys."""
    now, key_id = utc_now(), new_id()
    expires_at = key_request.expires_at or now + MAX_LIFETIME
    if not now < expires_at <= now + MAX_LIFETIME:
        raise InvalidInput("a time from now until a year from now", loc=("body", "expires_at"))
    if api_keys.count(connection, user_id=principal.user_id) >= MAX_API_KEYS:
        raise TooManyApiKeys(MAX_API_KEYS)
    chosen = frozenset(key_request.scopes) if key_request.scopes is not None else API_KEY_SCOPES
    key = issue_api_key(principal.user_id, key_id, chosen, expires_at=expires_at, key=key_ring.newest_api, issuer=key_ring.issuer, now=now)
    limits = {"rate_per_minute": key_request.rate_per_minute, "monthly_budget_usd": key_request.monthly_budget_usd}
    fields = {"name": key_request.name, "scopes": sorted(chosen), "expires_at": expires_at} | limits
    stored = api_keys.add(connection, key_id, user_id=principal.user_id, **fields)
    audit.add(connection, principal.user_id, "api_key_made", origin, api_key_id=str(key_id), name=key_request.name)
    return IssuedApiKey(stored, key)


def revoke_key(connection: Connection, principal: Principal, key_id: UUID, *, origin: ClientOrigin) -> None:
    """Make a key useless at once, or raise NotFound."""
    api_keys.revoke(connection, key_id, user_id=principal.user_id)
    audit.add(connection, principal.user_id, "api_key_revoked", origin, api_key_id=str(key_id))
