"""Request and response models of the OAuth routes, and the metadata documents by which clients find them."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field

from functions.auth.oauth.authorization import AuthorizationRequest
from functions.auth.oauth.clients import OAuthClient, redirect_host
from functions.auth.sessions import IssuedTokens
from parley.auth.access_tokens import LIFETIME
from parley.auth.client_tokens import MCP_PATH
from parley.auth.principal import MCP_SCOPES
from parley.http.schemas import Input, Output

FORM_FIELDS: dict[str, dict[str, Any]] = {
    "grant_type": {"type": "string", "enum": ["authorization_code", "refresh_token"]},
    "client_id": {"type": "string"},
    "code": {"type": "string"},
    "code_verifier": {"type": "string"},
    "redirect_uri": {"type": "string"},
    "refresh_token": {"type": "string"},
    "resource": {"type": "string"},
}


def form_body(*required: str, **fields: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI description of a form with these fields. The routes read it themselves: FastAPI takes bodies as JSON here."""
    schema = {"type": "object", "required": list(required), "properties": fields}
    return {"requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}}


class AuthorizationQuery(Input):
    """A client's request: the query with which it opened `GET /oauth/authorize`, unchanged."""

    query: Annotated[str, Field(max_length=8000)]


class Consent(AuthorizationQuery):
    """The user's answer to a client's request."""

    approve: bool


class AuthorizationOut(Output):
    """A client's request, to be shown to the user.

    `client_host` publishes the client's name. It is null for a client that registered itself: its name proves nothing. After the
    answer, the user is sent to `redirect_host`; `is_local` is whether that is a program on the user's computer.
    """

    client_name: str
    client_host: str | None
    redirect_host: str
    is_local: bool
    scopes: list[str]

    @classmethod
    def of(cls, request: AuthorizationRequest) -> Self:
        """Render a request."""
        host, is_local = redirect_host(request.redirect_uri)
        client = request.client
        return cls(client_name=client.name, client_host=client.host, redirect_host=host, is_local=is_local, scopes=sorted(request.scopes))


class RedirectOut(Output):
    """The address to which the page sends the user."""

    redirect_to: str


class RegisteredClientOut(Output):
    """A registered client (RFC 7591, 3.2.1). It has no secret."""

    client_id: str
    client_name: str
    redirect_uris: list[str]
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")
    response_types: tuple[str, ...] = ("code",)
    token_endpoint_auth_method: Literal["none"] = "none"  # noqa: S105 - the name of a method

    @classmethod
    def of(cls, client: OAuthClient) -> Self:
        """Render a client."""
        return cls(client_id=client.id, client_name=client.name, redirect_uris=list(client.redirect_uris))


class ClientTokensOut(Output):
    """A client's new tokens (RFC 6749, 5.1). The access token is valid for `/mcp` only, for `expires_in` seconds."""

    access_token: str
    refresh_token: str
    scope: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int = int(LIFETIME.total_seconds())

    @classmethod
    def of(cls, tokens: IssuedTokens) -> Self:
        """Render issued tokens."""
        return cls(access_token=tokens.access_token, refresh_token=tokens.refresh_token, scope=" ".join(sorted(tokens.scopes)))


class OAuthErrorOut(Output):
    """An error in the format of RFC 6749, 5.2."""

    error: str
    error_description: str


def resource_metadata(issuer: str) -> dict[str, Any]:
    """Return the metadata of the MCP server as a protected resource (RFC 9728)."""
    return {
        "resource": f"{issuer}{MCP_PATH}",
        "resource_name": "Parley",
        "authorization_servers": [issuer],
        "scopes_supported": sorted(MCP_SCOPES),
        "bearer_methods_supported": ["header"],
    }


def server_metadata(issuer: str) -> dict[str, Any]:
    """Return the metadata of this authorization server (RFC 8414)."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "registration_endpoint": f"{issuer}/oauth/register",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "scopes_supported": sorted(MCP_SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "client_id_metadata_document_supported": True,
        "authorization_response_iss_parameter_supported": True,
    }


def openid_metadata(issuer: str) -> dict[str, Any]:
    """Return the same metadata with the members that OpenID Connect Discovery requires. This server issues no ID tokens."""
    return server_metadata(issuer) | {"subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"]}
