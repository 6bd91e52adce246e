"""The token by which the identity provider calls the SCIM routes.

An admin makes it, pastes it into the identity provider, and replaces it by making another. The replaced token stays valid for a day,
so that provisioning does not stop in between. Only the hash of a token is stored.
"""

import hmac
from datetime import timedelta

from functions.auth.admin import record_act
from functions.auth.scim.errors import TokenRefused, TooManyScimRequests
from functions.auth.services import AuthServices
from parley.auth.client_origin import ClientOrigin
from parley.auth.one_time_codes import InvalidCode, OneTimeCode
from parley.auth.principal import Principal
from parley.db.accounts import login_throttle
from parley.db.accounts.login_throttle import ThrottleBucket
from parley.db.engine import Connection
from parley.db.scim import tokens
from parley.db.transactions import global_scope, lock_until_end
from parley.ids import new_id

PREFIX = "pst_"
OVERLAP = timedelta(days=1)
# Entra asks for 25 requests per second.
REQUESTS_PER_MINUTE = 1500
REFUSED_WINDOW_S = 900.0
_NO_HASH = bytes(32)


def make_token(connection: Connection, admin: Principal, *, origin: ClientOrigin) -> str:
    """Store a new token and return it; the token before it stays valid for a day, also if another one is made meanwhile."""
    lock_until_end(connection, "SCIM tokens")
    secret = OneTimeCode.new(new_id())
    tokens.replace_all(connection, after=OVERLAP)
    tokens.add(connection, secret.owner_id, secret.hash)
    record_act(connection, admin, "scim_token_made", origin)
    return f"{PREFIX}{secret}"


def revoke_tokens(connection: Connection, admin: Principal, *, origin: ClientOrigin) -> None:
    """Delete all tokens: no request of the identity provider is accepted any more."""
    if tokens.remove_all(connection):
        record_act(connection, admin, "scim_tokens_revoked", origin)


def authenticate(services: AuthServices, authorization: str, *, origin: ClientOrigin) -> None:
    """Check the request's token. Raises TokenRefused and TooManyScimRequests.

    Valid tokens share one limit of requests, and each network has one of invalid tokens.
    """
    secret = _parse(authorization)
    with global_scope(services.background) as connection:
        stored = tokens.find_hash(connection, secret.owner_id)
        is_valid = hmac.compare_digest(stored or _NO_HASH, secret.hash) and stored is not None
        wait_s = login_throttle.take(connection, [_bucket(services, origin, is_valid=is_valid)])
        if is_valid:
            tokens.note_use(connection, secret.owner_id)
    if wait_s is not None:
        raise TooManyScimRequests(wait_s)
    if not is_valid:
        raise TokenRefused("unknown, expired or revoked")


def _parse(authorization: str) -> OneTimeCode:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.startswith(PREFIX):
        raise TokenRefused("no SCIM token")
    try:
        return OneTimeCode.parse(token.removeprefix(PREFIX))
    except InvalidCode as exc:
        raise TokenRefused("malformed") from exc


def _bucket(services: AuthServices, origin: ClientOrigin, *, is_valid: bool) -> ThrottleBucket:
    if is_valid:
        return ThrottleBucket.of("scim", "", burst=REQUESTS_PER_MINUTE, window_s=60.0)
    return ThrottleBucket.of("scim refused", origin.network, burst=services.throttle.per_address, window_s=REFUSED_WINDOW_S)
