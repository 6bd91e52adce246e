"""The routes that need no session: registration, login, refresh, password reset and the public keys."""

from typing import Any

from fastapi import APIRouter, Response

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
from functions.auth.services import AuthServicesDep
from parley.auth.one_time_codes import InvalidCode
from parley.http.dependencies import RequestOrigin, RequestTime
from parley.http.problems import error_responses

VERIFICATION_PENDING: dict[int | str, dict[str, Any]] = {202: {"model": VerificationPending, "description": "A code was mailed"}}
REGISTRATION_ERRORS = error_responses(RegistrationClosed, InvalidInvite, EmailDomainRefused, EmailTaken, WeakPassword, TooManyAttempts)

router = APIRouter()


@router.post("/auth/register", status_code=201, responses=VERIFICATION_PENDING | REGISTRATION_ERRORS)
def register(body: Registration, services: AuthServicesDep, origin: RequestOrigin, response: Response) -> TokensOut | VerificationPending:
    """Create an account and log in, or mail a code first if this deployment verifies addresses."""
    tokens = registration.register(services, **body.model_dump(), origin=origin)
    if tokens is None:
        response.status_code = 202
        return VerificationPending()
    return TokensOut.of(tokens)


@router.post("/auth/verify", responses=error_responses(InvalidCode, PasswordNeeded, InvalidInvite, TooManyAttempts))
def verify(body: Verification, services: AuthServicesDep, origin: RequestOrigin) -> TokensOut:
    """Create the account with the mailed code, and log in."""
    return TokensOut.of(registration.verify(services, **body.model_dump(), origin=origin))


@router.post("/auth/login", responses=error_responses(InvalidCredentials, TooManyAttempts))
def log_in(body: Login, services: AuthServicesDep, origin: RequestOrigin) -> TokensOut:
    """Start a session."""
    return TokensOut.of(login.log_in(services, **body.model_dump(), origin=origin))


@router.post("/auth/refresh", responses=error_responses(InvalidRefreshToken))
def refresh(body: Refresh, services: AuthServicesDep, origin: RequestOrigin, received_at: RequestTime) -> TokensOut:
    """Exchange a refresh token for a new pair of tokens."""
    return TokensOut.of(
        sessions.refresh(
            services.engine,
            services.key_ring(),
            body.refresh_token,
            lifetimes=services.lifetimes,
            origin=origin,
            received_at=received_at,
        )
    )


@router.post("/auth/password/forgot", status_code=202, responses=error_responses(TooManyAttempts))
def forget_password(body: ForgottenPassword, services: AuthServicesDep, origin: RequestOrigin) -> Accepted:
    """Mail a reset code to the address if it has an account."""
    account.request_password_reset(services, email=body.email, origin=origin)
    return Accepted()


@router.post("/auth/password/reset", status_code=204, responses=error_responses(InvalidCode, WeakPassword, TooManyAttempts))
def reset_password(body: PasswordReset, services: AuthServicesDep, origin: RequestOrigin) -> None:
    """Set a new password with the mailed code and end every session."""
    account.reset_password(services, **body.model_dump(), origin=origin)


@router.get("/.well-known/jwks.json")
def jwks(services: AuthServicesDep) -> dict[str, Any]:
    """Publish the public keys that verify tokens (RFC 7517)."""
    document: dict[str, Any] = services.key_ring().jwks()
    return document
