"""The token endpoint: exchange a code or a refresh token for a new pair of tokens, and revoke a refresh token.

The tokens are those of a session, as a user's own login has one: they rotate, reuse ends the session, and the user sees and ends it
in the list of sessions.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from functions.auth.errors import InvalidRefreshToken
from functions.auth.login_throttle import useful_client_request
from functions.auth.oauth.authorization import check_resource
from functions.auth.oauth.errors import OAuthError
from functions.auth.services import AuthServices
from functions.auth.sessions import ClientRefreshToken, IssuedTokens, issue_client_tokens, refresh
from parley.auth.client_origin import ClientOrigin
from parley.auth.client_tokens import MCP_PATH, PREFIX
from parley.auth.one_time_codes import InvalidCode, OneTimeCode
from parley.auth.signing_keys import KeyRing
from parley.clock import utc_now
from parley.db.accounts import audit, authorization_codes, sessions
from parley.db.accounts.authorization_codes import StoredAuthorizationCode
from parley.db.engine import Connection
from parley.db.transactions import user_scope

_MAX_VERIFIER = 128


def grant(
    services: AuthServices, parameters: Mapping[str, str], *, issuer: str, origin: ClientOrigin, received_at: datetime
) -> IssuedTokens:
    """Exchange the code or the refresh token in these parameters. Raises OAuthError and TooManyClientRequests."""
    with useful_client_request(services.background, services.throttle, origin):
        client_id = _required(parameters, "client_id")
        match _required(parameters, "grant_type"):
            case "authorization_code":
                return _exchange(services, parameters, client_id, origin)
            case "refresh_token":
                check_resource(parameters.get("resource"), f"{issuer}{MCP_PATH}")
                return _refresh(services, _required(parameters, "refresh_token"), client_id, origin, received_at)
        raise OAuthError("unsupported_grant_type", "grant_type must be authorization_code or refresh_token.")


def revoke(services: AuthServices, parameters: Mapping[str, str], *, origin: ClientOrigin) -> None:
    """End the session of a refresh token (RFC 7009). An unknown token is not an error. Raises OAuthError."""
    text, client_id = _required(parameters, "token"), _required(parameters, "client_id")
    if text.startswith(PREFIX):
        raise OAuthError("unsupported_token_type", "An access token ends within ten minutes. Revoke the refresh token.")
    try:
        token = ClientRefreshToken.parse(text)
    except InvalidRefreshToken:
        return
    with user_scope(services.engine, token.user_id) as connection:
        locked = sessions.lock(connection, token.hash, user_id=token.user_id)
        if locked and locked[0].client_id == client_id and sessions.end(connection, locked[0].id, user_id=token.user_id):
            audit.add(connection, token.user_id, "session_ended", origin, session_id=str(locked[0].id))


def _exchange(services: AuthServices, parameters: Mapping[str, str], client_id: str, origin: ClientOrigin) -> IssuedTokens:
    """Exchange a code. A code that comes back after its exchange was stolen, so its session ends (RFC 9700, 2.1.1)."""
    try:
        code = OneTimeCode.parse(_required(parameters, "code"))
    except InvalidCode as exc:
        raise _unusable("malformed") from exc
    key_ring = services.key_ring()
    with user_scope(services.engine, code.owner_id) as connection:
        outcome = _redeem(connection, code, parameters, client_id, key_ring, services, origin)
    if outcome == "reused":
        raise _unusable(f"a code of {code.owner_id} was used before")
    return outcome


def _redeem(
    connection: Connection,
    code: OneTimeCode,
    parameters: Mapping[str, str],
    client_id: str,
    key_ring: KeyRing,
    services: AuthServices,
    origin: ClientOrigin,
) -> IssuedTokens | Literal["reused"]:
    """Redeem the code. Return "reused" instead of raising, so that the end of the session is committed."""
    stored = authorization_codes.lock(connection, code.hash, user_id=code.owner_id)
    if stored is None:
        raise _unusable("unknown")
    if stored.used_at is not None:
        if sessions.end(connection, stored.session_id, user_id=code.owner_id):
            audit.add(connection, code.owner_id, "authorization_code_reused", origin, session_id=str(stored.session_id))
        return "reused"
    _check_exchange(stored, parameters, client_id)
    token = ClientRefreshToken.new(code.owner_id)
    expires_at = utc_now() + services.lifetimes.absolute
    user = authorization_codes.redeem(
        connection, code.hash, stored.session_id, user_id=code.owner_id, token_hash=token.hash, expires_at=expires_at
    )
    if user is None or stored.scopes is None:
        raise _unusable("its session has ended")
    return issue_client_tokens(user, stored.session_id, token, key_ring, scopes=stored.scopes)


def _check_exchange(stored: StoredAuthorizationCode, parameters: Mapping[str, str], client_id: str) -> None:
    """Raise OAuthError unless the client that asked for the code exchanges it in time, with the same address and its verifier."""
    if stored.expires_at <= utc_now():
        raise _unusable("expired")
    if stored.client_id != client_id:
        raise _unusable("another client's")
    if parameters.get("redirect_uri", stored.redirect_uri) != stored.redirect_uri:
        raise _unusable("another redirect_uri")
    verifier = _required(parameters, "code_verifier")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    if len(verifier) > _MAX_VERIFIER or not hmac.compare_digest(challenge, stored.code_challenge.encode()):
        raise _unusable("another code_verifier")
    check_resource(parameters.get("resource"), stored.resource)


def _refresh(services: AuthServices, text: str, client_id: str, origin: ClientOrigin, received_at: datetime) -> IssuedTokens:
    try:
        return refresh(
            services.engine,
            services.key_ring(),
            text,
            lifetimes=services.lifetimes,
            origin=origin,
            received_at=received_at,
            client_id=client_id,
        )
    except InvalidRefreshToken as exc:
        raise OAuthError("invalid_grant", exc.public_message, evidence=str(exc)) from exc


def _required(parameters: Mapping[str, str], name: str) -> str:
    if name not in parameters:
        raise OAuthError("invalid_request", f"{name} is required.")
    return parameters[name]


def _unusable(evidence: str) -> OAuthError:
    """Return the error for any code that cannot be exchanged; the response does not say why."""
    return OAuthError("invalid_grant", "The code is wrong, expired, already used, or not for this client and address.", evidence=evidence)
