"""The routes of logins by OpenID Connect. A browser opens two of them and is always sent on, also after an error."""

from typing import Annotated, Any

from fastapi import APIRouter, Cookie, Depends, Path, Query, Request, Response
from pydantic import Field

from functions.auth.oauth.schemas import form_body
from functions.auth.oidc import login
from functions.auth.oidc.errors import IssuerUnavailable, LogoutTokenInvalid
from functions.auth.refresh_cookie import REFRESH_PATH, RefreshCookie
from functions.auth.schemas import EmailCode, TokensOut
from functions.auth.services import AuthServices, AuthServicesDep
from parley.auth.one_time_codes import InvalidCode
from parley.errors import NotFound
from parley.http.dependencies import RequestOrigin
from parley.http.lazy_routes import LazyRoute
from parley.http.problems import error_responses
from parley.http.schemas import Input, Output
from parley.http.stage_prefix import PublicUrl, StagePrefix

# The prefix makes browsers refuse the cookie from a sibling domain, which could otherwise bind its own login to this browser.
BROWSER_COOKIE = "__Host-parley-login"
TO_ISSUER: dict[int | str, dict[str, Any]] = {303: {"description": "The issuer, or after an error the page or program"}}
TO_PAGE: dict[int | str, dict[str, Any]] = {303: {"description": "The page or the program"}}

router = APIRouter(route_class=LazyRoute)


class IssuerOut(Output):
    """An issuer with which users may sign in. `label` is its name for the page."""

    id: str
    label: str


class LoginOptionsOut(Output):
    """How users may sign in. Without `password_login`, only by one of the issuers. Pages of the domain `passkey_rp_id` may use passkeys."""

    password_login: bool
    passkey_rp_id: str | None
    issuers: list[IssuerOut]


class LoginCodeIn(Input):
    """POST /auth/oidc/token."""

    code: EmailCode
    code_verifier: Annotated[str, Field(min_length=43, max_length=login.MAX_VERIFIER)]


async def _site(public_url: PublicUrl, stage_prefix: StagePrefix) -> login.Site:
    return login.Site(public_url, f"{stage_prefix}/")


async def _program(
    redirect_uri: Annotated[
        str | None, Query(max_length=500, description="For programs: the loopback address at which the program receives its code.")
    ] = None,
    code_challenge: Annotated[str | None, Query(max_length=43, description="For programs: the SHA-256 of the verifier (RFC 7636).")] = None,
) -> login.Program | None:
    return login.Program.of(redirect_uri, code_challenge)


async def _body(request: Request) -> str:
    return (await request.body()).decode(errors="replace")


SiteDep = Annotated[login.Site, Depends(_site)]
ProgramDep = Annotated[login.Program | None, Depends(_program)]
IssuerId = Annotated[str, Path(pattern="^[a-z0-9-]{1,32}$")]
Browser = Annotated[str | None, Cookie(alias=BROWSER_COOKIE, max_length=200, include_in_schema=False)]


@router.get("/auth/oidc")
async def list_login_options(services: AuthServicesDep) -> LoginOptionsOut:
    """List the issuers with which users may sign in, and say whether passwords and passkeys work too."""
    issuers = [IssuerOut(id=client.issuer.id, label=client.issuer.label) for client in services.issuers.clients.values()]
    rp_id = services.relying_party.id if services.relying_party else None
    return LoginOptionsOut(password_login=services.allows_passwords, passkey_rp_id=rp_id, issuers=issuers)


@router.get(
    "/auth/oidc/{id}/start",
    status_code=303,
    response_class=Response,
    responses=TO_ISSUER | error_responses(NotFound),
)
def start_login(
    id: IssuerId, services: AuthServicesDep, origin: RequestOrigin, site: SiteDep, program: ProgramDep, browser: Browser = None
) -> Response:
    """Send the browser to the issuer, where the user signs in.

    A program opens this address with `redirect_uri` and `code_challenge`, and receives `code` or `error` at its own address.
    """
    return _respond(login.start(services, id, program, browser=browser, site=site, origin=origin), services, site)


@router.get(
    "/auth/oidc/{id}/callback",
    status_code=303,
    response_class=Response,
    responses=TO_PAGE | error_responses(NotFound),
)
def finish_login(
    id: IssuerId, request: Request, services: AuthServicesDep, origin: RequestOrigin, site: SiteDep, browser: Browser = None
) -> Response:
    """Receive the issuer's answer and start a session.

    The page receives the refresh cookie, as in cookie mode; a program receives a code. An error is named in the address, for the page
    as `#/sign-in/CODE`.
    """
    step = login.finish(services, id, request.url.query, browser=browser, site=site, origin=origin)
    return _respond(step, services, site)


@router.post("/auth/oidc/token", responses=error_responses(InvalidCode))
def redeem_login_code(body: LoginCodeIn, services: AuthServicesDep) -> TokensOut:
    """Exchange a program's code for the tokens of its session. A code works once, for one minute."""
    return TokensOut.of(login.redeem(services, code=body.code, code_verifier=body.code_verifier))


@router.post(
    "/auth/oidc/{id}/logout",
    response_class=Response,
    responses=error_responses(NotFound, LogoutTokenInvalid, IssuerUnavailable),
    openapi_extra=form_body("logout_token", logout_token={"type": "string"}),
)
def end_issuer_sessions(id: IssuerId, services: AuthServicesDep, form: Annotated[str, Depends(_body)]) -> Response:
    """End the sessions that the issuer's logout token names (OpenID Connect Back-Channel Logout). Issuers call this route."""
    login.log_out(services, id, form)
    return Response(status_code=200)


def _respond(step: login.BrowserStep, services: AuthServices, site: login.Site) -> Response:
    response = Response(status_code=303, headers={"Location": step.location})
    if step.browser is not None:
        age_s = int(login.LOGIN_LIFETIME.total_seconds())
        # Lax: the issuer's answer is a navigation from another site.
        response.set_cookie(BROWSER_COOKIE, step.browser, max_age=age_s, path="/", secure=True, httponly=True, samesite="lax")
    if step.tokens is not None:
        path = f"{site.home.removesuffix('/')}{REFRESH_PATH}"
        RefreshCookie(None, is_on=True, path=path, lifetimes=services.lifetimes).deliver(step.tokens, response)
    return response
