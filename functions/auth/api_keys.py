"""API keys: create and revoke. The key itself is shown once, in the response that creates it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from functions.auth.errors import TooManyApiKeys, WrongPassword
from functions.auth.login import reauthenticate
from functions.auth.login_throttle import may_notify
from functions.auth.services import AuthServices
from parley.auth.api_keys import MAX_LIFETIME, issue_api_key
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import DEFAULT_API_KEY_SCOPES, Principal
from parley.auth.signing_keys import KeyRing
from parley.clock import utc_now
from parley.db.accounts import api_keys, audit, login_throttle, users
from parley.db.engine import Connection
from parley.db.transactions import lock_access, lock_until_end, principal_scope
from parley.errors import InvalidInput
from parley.http.idempotency import IdempotentRequest, IdempotentResult
from parley.ids import new_id
from parley.jobs import AccountNotice

MAX_API_KEYS = 50


@dataclass(frozen=True, slots=True)
class IssuedApiKey:
    """A new API key: the stored row, and the key in the clear, which cannot be retrieved again."""

    stored: api_keys.ApiKey
    key: str


@dataclass(frozen=True, slots=True)
class ApiKeyRequest:
    """The properties of a new key. A property that is None has its default.

    The defaults are all API key scopes except `approvals`, a lifetime of one year, and no limits besides the user's own.
    """

    name: str
    scopes: list[str] | None
    expires_at: datetime | None
    rate_per_minute: int | None = None
    monthly_budget_usd: float | None = None


def create_key(
    services: AuthServices,
    principal: Principal,
    key_request: ApiKeyRequest,
    request: IdempotentRequest[IssuedApiKey],
    *,
    password: str | None,
    origin: ClientOrigin,
) -> IdempotentResult[IssuedApiKey]:
    """Check the user's password, issue a key and queue a mail about it. A repeated request issues no key and sends no mail.

    Raises TooManyAttempts, WrongPassword, LoginTooOld, IdempotencyKeyReused, InvalidInput and TooManyApiKeys.
    """
    user, proof = reauthenticate(services, principal, password, origin=origin)
    key_ring = services.key_ring()
    with principal_scope(services.engine, principal) as connection:
        # A concurrent password reset either waits for this transaction and then revokes the key, or commits first and is noticed here.
        lock_access(connection, principal)
        if not users.lock_password_hash(connection, user.id, proof.password_hash):
            raise WrongPassword(f"the password of {user.id} was changed concurrently")
        login_throttle.reset(connection, proof.buckets.account_keys)
        result = request.run_once(connection, user.id, lambda: issue_key(connection, principal, key_ring, key_request, origin=origin))
    if result.value and may_notify(services.background, user.email):
        services.queue.send_later(AccountNotice("new_api_key", to=user.email))
    return result


def issue_key(
    connection: Connection, principal: Principal, key_ring: KeyRing, key_request: ApiKeyRequest, *, origin: ClientOrigin
) -> IssuedApiKey:
    """Sign and store a key. Raises InvalidInput and TooManyApiKeys."""
    now = utc_now()
    key_id = new_id()
    expires_at = key_request.expires_at or now + MAX_LIFETIME
    if not now < expires_at <= now + MAX_LIFETIME:
        raise InvalidInput("must be in the future and at most one year ahead", loc=("body", "expires_at"))
    lock_until_end(connection, f"api_keys of {principal.user_id}")
    if api_keys.count(connection, user_id=principal.user_id) >= MAX_API_KEYS:
        raise TooManyApiKeys(MAX_API_KEYS)
    scopes = frozenset(key_request.scopes) if key_request.scopes is not None else DEFAULT_API_KEY_SCOPES
    key = issue_api_key(principal.user_id, key_id, scopes, expires_at=expires_at, key=key_ring.newest_api, issuer=key_ring.issuer, now=now)
    limits = {"rate_per_minute": key_request.rate_per_minute, "monthly_budget_usd": key_request.monthly_budget_usd}
    fields = {"name": key_request.name, "scopes": sorted(scopes), "expires_at": expires_at} | limits
    stored = api_keys.add(connection, key_id, user_id=principal.user_id, **fields)
    audit.add(connection, principal.user_id, "api_key_made", origin, api_key_id=str(key_id), name=key_request.name)
    return IssuedApiKey(stored, key)


def revoke_key(connection: Connection, principal: Principal, key_id: UUID, *, origin: ClientOrigin) -> None:
    """Revoke a key with immediate effect, or raise NotFound."""
    api_keys.revoke(connection, key_id, user_id=principal.user_id)
    audit.add(connection, principal.user_id, "api_key_revoked", origin, api_key_id=str(key_id))
