"""The routes by which an MCP client signs its user in: discovery, registration, the user's consent, and tokens.

The routes of clients respond as OAuth requires; the two of the page, under `/auth`, need the user's own session.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from functions.auth.errors import TooManyClientRequests
from functions.auth.login_throttle import count_client_request
from functions.auth.oauth.authorization import approve, parse_parameters, read_request
from functions.auth.oauth.clients import ClientMetadata, register
from functions.auth.oauth.errors import AuthorizationRefused, TooManyClientDocuments
from functions.auth.oauth.grants import grant, revoke
from functions.auth.oauth.schemas import (
    FORM_FIELDS,
    AuthorizationOut,
    AuthorizationQuery,
    ClientTokensOut,
    Consent,
    OAuthErrorOut,
    RedirectOut,
    RegisteredClientOut,
    form_body,
    openid_metadata,
    resource_metadata,
    server_metadata,
)
from functions.auth.services import AuthServicesDep
from parley.auth.client_tokens import MCP_PATH, METADATA_PATH
from parley.http.dependencies import CurrentPrincipal, RequestOrigin, RequestTime, require_live_session, requires
from parley.http.lazy_routes import LazyRoute
from parley.http.problems import error_responses
from parley.http.stage_prefix import PublicUrl, StagePrefix

REFUSED: dict[int | str, Any] = {400: {"model": OAuthErrorOut, "description": "The client's request is refused"}}
TOO_MANY = error_responses(TooManyClientRequests)
REFUSED_CONSENT = error_responses(AuthorizationRefused, TooManyClientDocuments)
OF_THE_USER = [Depends(requires("account")), Depends(require_live_session)]

router = APIRouter(route_class=LazyRoute)


async def _form(request: Request) -> dict[str, str]:
    return parse_parameters((await request.body()).decode(errors="replace"))


Form = Annotated[dict[str, str], Depends(_form)]


async def _count(services: AuthServicesDep, origin: RequestOrigin) -> None:
    count_client_request(services.background, services.throttle, origin)


@router.get(METADATA_PATH, name="protected_resource_of_origin")
@router.get(f"{METADATA_PATH}{MCP_PATH}")
async def protected_resource(issuer: PublicUrl) -> dict[str, Any]:
    """Describe the MCP server as a protected resource (RFC 9728)."""
    return resource_metadata(issuer)


@router.get("/.well-known/oauth-authorization-server")
async def authorization_server(issuer: PublicUrl) -> dict[str, Any]:
    """Describe the authorization server (RFC 8414)."""
    return server_metadata(issuer)


@router.get("/.well-known/openid-configuration")
async def openid_configuration(issuer: PublicUrl) -> dict[str, Any]:
    """Describe the authorization server where clients look if the API's address has a path. There are no ID tokens."""
    return openid_metadata(issuer)


@router.post("/oauth/register", status_code=201, dependencies=[Depends(_count)], responses=REFUSED | TOO_MANY)
async def register_client(body: ClientMetadata, services: AuthServicesDep) -> RegisteredClientOut:
    """Register a client (RFC 7591). Nothing is stored: the `client_id` contains the client's name and addresses, signed."""
    return RegisteredClientOut.of(register(body, secret=services.key_ring().refresh_secret))


@router.get(
    "/oauth/authorize",
    status_code=303,
    response_class=Response,
    responses={303: {"description": "The page, where the user consents"}},
)
async def authorize(request: Request, stage_prefix: StagePrefix) -> Response:
    """Open the page, where the user signs in and consents to a client's request (RFC 6749, 4.1.1)."""
    return Response(status_code=303, headers={"Location": f"{stage_prefix}/#/connect?{request.url.query}"})


@router.post("/auth/authorizations/preview", dependencies=OF_THE_USER, responses=REFUSED_CONSENT)
def preview_authorization(
    body: AuthorizationQuery, services: AuthServicesDep, principal: CurrentPrincipal, issuer: PublicUrl
) -> AuthorizationOut:
    """Check a client's request and describe it for the user."""
    return AuthorizationOut.of(read_request(services, body.query, user_id=principal.user_id, issuer=issuer))


@router.post("/auth/authorizations", dependencies=OF_THE_USER, responses=REFUSED_CONSENT)
def authorize_client(
    body: Consent, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin, issuer: PublicUrl
) -> RedirectOut:
    """Approve or deny a client's request, and return the address that reports the answer to the client.

    An approval starts a session of the client, which lasts one minute unless the client exchanges its code.
    """
    request = read_request(services, body.query, user_id=principal.user_id, issuer=issuer)
    if not body.approve:
        return RedirectOut(redirect_to=request.redirect(error="access_denied"))
    return RedirectOut(redirect_to=approve(services, principal, request, origin=origin))


@router.post("/oauth/token", responses=REFUSED | TOO_MANY, openapi_extra=form_body("grant_type", "client_id", **FORM_FIELDS))
def token(form: Form, services: AuthServicesDep, issuer: PublicUrl, origin: RequestOrigin, received_at: RequestTime) -> ClientTokensOut:
    """Exchange a code or a refresh token for a new pair of tokens (RFC 6749, 4.1.3 and 6).

    A code works once, for one minute; a second exchange ends the session. A refresh token works once, as those of
    `POST /auth/refresh` do. The access token is valid for `/mcp` only.
    """
    return ClientTokensOut.of(grant(services, form, issuer=issuer, origin=origin, received_at=received_at))


@router.post(
    "/oauth/revoke",
    response_class=Response,
    dependencies=[Depends(_count)],
    responses=REFUSED | TOO_MANY,
    openapi_extra=form_body("token", "client_id", token={"type": "string"}, client_id={"type": "string"}),
)
def revoke_token(form: Form, services: AuthServicesDep, origin: RequestOrigin) -> Response:
    """End the session of a refresh token (RFC 7009)."""
    revoke(services, form, origin=origin)
    return Response(status_code=200)
