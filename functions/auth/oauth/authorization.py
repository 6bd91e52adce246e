"""A user's consent that a client may use `/mcp`: check the client's request, show it, and issue a code (RFC 6749, 4.1; RFC 7636).

The page passes the query with which the client opened it on to this server, which checks it with each request: nothing is stored
before the user consents.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from functions.auth.oauth.clients import OAuthClient
from functions.auth.oauth.errors import AuthorizationRefused, OAuthError, TooManyClientDocuments
from functions.auth.services import AuthServices
from parley.auth.client_origin import ClientOrigin
from parley.auth.client_tokens import MCP_PATH
from parley.auth.one_time_codes import OneTimeCode
from parley.auth.principal import MCP_SCOPES, Principal
from parley.clock import utc_now
from parley.db.accounts import audit, authorization_codes, login_throttle
from parley.db.accounts.authorization_codes import NewAuthorization
from parley.db.accounts.login_throttle import ThrottleBucket
from parley.db.transactions import global_scope, lock_access, principal_scope
from parley.ids import new_id

CODE_LIFETIME = timedelta(seconds=60)
# How many clients' documents may be fetched for one user in 15 minutes. Anyone may choose the addresses.
MAX_DOCUMENTS_FETCHED, DOCUMENT_WINDOW_S = 20, 900.0
MAX_PARAMETERS = 30
_CHALLENGE_LENGTH = 43  # SHA-256 in base64url
_BASE64URL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A valid request of a client. `issuer` is this server's address, as the client knows it."""

    client: OAuthClient
    redirect_uri: str
    code_challenge: str
    scopes: frozenset[str]
    resource: str
    state: str | None
    issuer: str

    def redirect(self, **parameters: str) -> str:
        """Return the address that reports the outcome to the client."""
        return _redirect(self.redirect_uri, parameters, state=self.state, issuer=self.issuer)


def read_request(services: AuthServices, query: str, *, user_id: UUID, issuer: str) -> AuthorizationRequest:
    """Check the query of a client's request. Raises AuthorizationRefused, TooManyClientDocuments and Unavailable.

    The error contains an address to go back to only if that address belongs to the client.
    """
    try:
        parameters = parse_parameters(query)
        client_id, count_fetch = parameters.get("client_id", ""), partial(_count_fetch, services, user_id)
        client = services.clients.find(client_id, secret=services.key_ring().refresh_secret, count_fetch=count_fetch)
        # Required although a client may have only one: its document may change between the user's reading and consent.
        redirect_uri = parameters.get("redirect_uri")
        if redirect_uri is None:
            raise OAuthError("invalid_request", "redirect_uri is required.")
        if not client.allows(redirect_uri):
            raise OAuthError("invalid_request", "redirect_uri is not an address of the application.")
    except OAuthError as error:
        raise AuthorizationRefused(error) from error
    state = parameters.get("state")
    try:
        challenge, scopes, resource = _checked(parameters, issuer)
    except OAuthError as error:
        answer = {"error": error.code, "error_description": error.public_message}
        raise AuthorizationRefused(error, redirect_to=_redirect(redirect_uri, answer, state=state, issuer=issuer)) from error
    return AuthorizationRequest(client, redirect_uri, challenge, scopes, resource, state, issuer)


def approve(services: AuthServices, principal: Principal, request: AuthorizationRequest, *, origin: ClientOrigin) -> str:
    """Store the client's session, and return the address that brings its code to the client.

    Raises Unauthorized if the user's session has ended meanwhile.
    """
    code = OneTimeCode.new(principal.user_id)
    authorization = NewAuthorization(
        session_id=new_id(),
        approved_by=principal.session_id,
        client_id=request.client.id,
        client_name=request.client.name,
        scopes=sorted(request.scopes),
        code_hash=code.hash,
        redirect_uri=request.redirect_uri,
        code_challenge=request.code_challenge,
        resource=request.resource,
        expires_at=utc_now() + CODE_LIFETIME,
    )
    with principal_scope(services.engine, principal) as connection:
        lock_access(connection, principal)
        authorization_codes.add(connection, authorization, user_id=principal.user_id, origin=origin)
        detail: dict[str, Any] = {
            "session_id": str(authorization.session_id),
            "client": request.client.name,
            "scopes": authorization.scopes,
        }
        audit.add(connection, principal.user_id, "client_authorized", origin, **detail)
    return request.redirect(code=str(code))


def parse_parameters(text: str) -> dict[str, str]:
    """Parse the parameters of a query or a form. Empty ones are left out. Raises OAuthError if one is repeated (RFC 6749, 3.1)."""
    try:
        pairs = parse_qsl(text, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError as exc:
        raise OAuthError("invalid_request", "The parameters cannot be read.") from exc
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise OAuthError("invalid_request", "A parameter is repeated.")
    if any("\0" in value for value in parameters.values()):
        raise OAuthError("invalid_request", "A parameter contains NUL.")
    return parameters


def is_challenge(text: str) -> bool:
    """Return whether a text can be the challenge of a verifier: a SHA-256 in base64url (RFC 7636, 4.2)."""
    return len(text) == _CHALLENGE_LENGTH and _BASE64URL.issuperset(text)


def check_resource(requested: str | None, expected: str) -> None:
    """Raise OAuthError if the client asks for a token for anything but the MCP server (RFC 8707)."""
    if requested is not None and _canonical(requested) != _canonical(expected):
        raise OAuthError("invalid_target", f"resource must be {expected}.")


def _count_fetch(services: AuthServices, user_id: UUID) -> None:
    bucket = ThrottleBucket.of("client documents", str(user_id), burst=MAX_DOCUMENTS_FETCHED, window_s=DOCUMENT_WINDOW_S)
    with global_scope(services.background) as connection:
        wait_s = login_throttle.take(connection, [bucket])
    if wait_s is not None:
        raise TooManyClientDocuments(user_id, retry_after_s=wait_s)


def _checked(parameters: Mapping[str, str], issuer: str) -> tuple[str, frozenset[str], str]:
    if parameters.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "response_type must be code.")
    challenge = parameters.get("code_challenge", "")
    if parameters.get("code_challenge_method") != "S256" or not is_challenge(challenge):
        raise OAuthError("invalid_request", "code_challenge with the method S256 is required.")
    resource = f"{issuer}{MCP_PATH}"
    check_resource(parameters.get("resource"), resource)
    requested = parameters.get("scope", "").split()
    scopes = MCP_SCOPES & set(requested) if requested else MCP_SCOPES
    # Every method of /mcp needs this scope.
    if "mcp:tools" not in scopes:
        raise OAuthError("invalid_scope", "scope must include mcp:tools.")
    return challenge, scopes, resource


def _redirect(redirect_uri: str, parameters: Mapping[str, str], *, state: str | None, issuer: str) -> str:
    """Add the parameters of an answer to the client's address, with `iss` (RFC 9207)."""
    answer = {**parameters, **({"state": state} if state is not None else {}), "iss": issuer}
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(answer)}"


def _canonical(resource: str) -> str:
    """Return an address with its scheme and host in lower case and without a slash at its end, which clients write in either way."""
    scheme, separator, rest = resource.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}".rstrip("/")
