"""The routes of callers without a session: registration, login, refresh, password reset and the public keys."""

from typing import Any

from fastapi import APIRouter, Request, Response

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
from functions.auth.schemas import (
    Accepted,
    ForgottenPassword,
    Login,
    PasswordReset,
    Refresh,
    Registration,
    TokensOut,
    Verification,
    VerificationPending,
)
from functions.auth.services import AuthServices
from parley.auth.one_time_codes import InvalidCode
from parley.http.dependencies import RequestOrigin
from parley.http.problems import error_responses

router = APIRouter()


def services_of(request: Request) -> AuthServices:
    """Return what the account functions work with."""
    services: AuthServices = request.app.state.services
    return services


VERIFICATION_PENDING: dict[int | str, dict[str, Any]] = {202: {"model": VerificationPending, "description": "A code is on its way"}}
REGISTRATION_ERRORS = error_responses(RegistrationClosed, InvalidInvite, EmailDomainRefused, EmailTaken, WeakPassword, TooManyAttempts)


@router.post("/auth/register", status_code=201, responses=VERIFICATION_PENDING | REGISTRATION_ERRORS)
def register(body: Registration, request: Request, origin: RequestOrigin, response: Response) -> TokensOut | VerificationPending:
    """Make an account and sign it in; where addresses are verified, mail a code first."""
    signed_in = registration.register(services_of(request), **body.model_dump(), origin=origin)
    if signed_in is None:
        response.status_code = 202
        return VerificationPending()
    return TokensOut.of(signed_in)


@router.post("/auth/verify", responses=error_responses(InvalidCode, PasswordNeeded, InvalidInvite, TooManyAttempts))
def verify(body: Verification, request: Request, origin: RequestOrigin) -> TokensOut:
    """Make the account that the mailed code proves, and sign it in."""
    return TokensOut.of(registration.verify(services_of(request), **body.model_dump(), origin=origin))


@router.post("/auth/login", responses=error_responses(InvalidCredentials, TooManyAttempts))
def log_in(body: Login, request: Request, origin: RequestOrigin) -> TokensOut:
    """Start a session."""
    return TokensOut.of(login.log_in(services_of(request), **body.model_dump(), origin=origin))


@router.post("/auth/refresh", responses=error_responses(InvalidRefreshToken))
def refresh(body: Refresh, request: Request, origin: RequestOrigin) -> TokensOut:
    """Exchange a refresh token for a new pair."""
    services = services_of(request)
    return TokensOut.of(
        sessions.refresh(services.engine, services.key_ring(), body.refresh_token, lifetimes=services.lifetimes, origin=origin)
    )


@router.post("/auth/password/forgot", status_code=202, responses=error_responses(TooManyAttempts))
def forget_password(body: ForgottenPassword, request: Request, origin: RequestOrigin) -> Accepted:
    """Mail a code to the address, if it has an account."""
    account.request_password_reset(services_of(request), email=body.email, origin=origin)
    return Accepted()


@router.post("/auth/password/reset", status_code=204, responses=error_responses(InvalidCode, WeakPassword, TooManyAttempts))
def reset_password(body: PasswordReset, request: Request, origin: RequestOrigin) -> None:
    """Set a new password by the mailed code; every session ends."""
    account.reset_password(services_of(request), **body.model_dump(), origin=origin)


@router.get("/.well-known/jwks.json")
def jwks(request: Request) -> dict[str, Any]:
    """Publish the keys that tokens are verified with (RFC 7517)."""
    found: dict[str, Any] = services_of(request).key_ring().jwks()
    return found
