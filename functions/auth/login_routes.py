"""The routes that need no session: registration, login, refresh, password reset and the public keys.

Login and refresh are coroutines although they never await: FastAPI would start a thread for a plain function, and a worker
handles one request at a time.
"""

from typing import Any

from fastapi import APIRouter, Depends, Response

from functions.auth import account, login, registration, sessions
from functions.auth.errors import (
    EmailDomainRefused,
    EmailTaken,
    InvalidCredentials,
    InvalidInvite,
    InvalidRefreshToken,
    PasswordNeeded,
    RegistrationClosed,
    TooManyAttempts,
    WeakPassword,
)
from functions.auth.oidc.errors import PasswordLoginOff
from functions.auth.refresh_cookie import CrossSiteRequest, RefreshCookieDep
from functions.auth.schemas import (
    Accepted,
    ForgottenPassword,
    Login,
    PasswordReset,
    Refresh,
    Registration,
    SecondFactorPending,
    TokensOut,
    Verification,
    VerificationPending,
)
from functions.auth.second_factor import totp
from functions.auth.services import AuthServicesDep
from parley.auth.one_time_codes import InvalidCode
from parley.http.dependencies import RequestOrigin, RequestTime
from parley.http.lazy_routes import LazyRoute
from parley.http.problems import error_responses

SECOND_FACTOR_PENDING: dict[int | str, dict[str, Any]] = {202: {"model": SecondFactorPending, "description": "A code is needed"}}
VERIFICATION_PENDING: dict[int | str, dict[str, Any]] = {202: {"model": VerificationPending, "description": "A code was mailed"}}
REGISTRATION_ERRORS = error_responses(
    CrossSiteRequest, PasswordLoginOff, RegistrationClosed, InvalidInvite, EmailDomainRefused, EmailTaken, WeakPassword, TooManyAttempts
)

router = APIRouter(route_class=LazyRoute)


async def _require_passwords(services: AuthServicesDep) -> None:
    if not services.allows_passwords:
        raise PasswordLoginOff


BY_PASSWORD = [Depends(_require_passwords)]


@router.post("/auth/register", status_code=201, dependencies=BY_PASSWORD, responses=VERIFICATION_PENDING | REGISTRATION_ERRORS)
def register(
    body: Registration, services: AuthServicesDep, origin: RequestOrigin, response: Response, cookie: RefreshCookieDep
) -> TokensOut | VerificationPending:
    """Create an account and log in, or mail a code first if this deployment verifies addresses.

    With the header `X-Session-Mode: cookie`, the refresh token is not in the body but in a cookie, here and in the other
    routes that return tokens.
    """
    tokens = registration.register(services, **body.model_dump(), origin=origin)
    if tokens is None:
        response.status_code = 202
        return VerificationPending()
    return cookie.deliver(tokens, response)


@router.post(
    "/auth/verify",
    dependencies=BY_PASSWORD,
    responses=error_responses(CrossSiteRequest, PasswordLoginOff, InvalidCode, PasswordNeeded, InvalidInvite, TooManyAttempts),
)
def verify(body: Verification, services: AuthServicesDep, origin: RequestOrigin, response: Response, cookie: RefreshCookieDep) -> TokensOut:
    """Create the account with the mailed code, and log in."""
    return cookie.deliver(registration.verify(services, **body.model_dump(), origin=origin), response)


@router.post(
    "/auth/login",
    dependencies=BY_PASSWORD,
    responses=SECOND_FACTOR_PENDING | error_responses(CrossSiteRequest, PasswordLoginOff, InvalidCredentials, TooManyAttempts),
)
async def log_in(
    body: Login, services: AuthServicesDep, origin: RequestOrigin, response: Response, cookie: RefreshCookieDep
) -> TokensOut | SecondFactorPending:
    """Start a session, or ask for the code of the account's second factor."""
    outcome = login.log_in(services, **body.model_dump(), origin=origin)
    if isinstance(outcome, login.PasswordProof):
        response.status_code = 202
        return SecondFactorPending(challenge=totp.challenge(services, outcome))
    return cookie.deliver(outcome, response)


@router.post("/auth/refresh", responses=error_responses(CrossSiteRequest, InvalidRefreshToken))
async def refresh(
    body: Refresh,
    services: AuthServicesDep,
    origin: RequestOrigin,
    received_at: RequestTime,
    response: Response,
    cookie: RefreshCookieDep,
) -> TokensOut:
    """Exchange a refresh token for a new pair of tokens.

    The token is in the body or, with the header `X-Session-Mode: cookie`, in the cookie.
    """
    tokens = sessions.refresh(
        services.engine,
        services.key_ring(),
        cookie.token_of(body),
        lifetimes=services.lifetimes,
        origin=origin,
        received_at=received_at,
    )
    return cookie.deliver(tokens, response)


@router.post(
    "/auth/password/forgot", status_code=202, dependencies=BY_PASSWORD, responses=error_responses(PasswordLoginOff, TooManyAttempts)
)
def forget_password(body: ForgottenPassword, services: AuthServicesDep, origin: RequestOrigin) -> Accepted:
    """Mail a reset code to the address if it has an account."""
    account.request_password_reset(services, email=body.email, origin=origin)
    return Accepted()


@router.post(
    "/auth/password/reset",
    status_code=204,
    dependencies=BY_PASSWORD,
    responses=error_responses(PasswordLoginOff, InvalidCode, WeakPassword, TooManyAttempts),
)
def reset_password(body: PasswordReset, services: AuthServicesDep, origin: RequestOrigin) -> None:
    """Set a new password with the mailed code and end every session."""
    account.reset_password(services, **body.model_dump(), origin=origin)


@router.get("/.well-known/jwks.json")
def jwks(services: AuthServicesDep) -> dict[str, Any]:
    """Publish the public keys that verify tokens (RFC 7517)."""
    document: dict[str, Any] = services.key_ring().jwks()
    return document
