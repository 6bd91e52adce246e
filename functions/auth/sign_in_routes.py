"""The routes of people who are not signed in yet, or no longer."""

from typing import Any

from fastapi import APIRouter, Request, Response

from functions.auth import password_change, registration, sessions, sign_in
from functions.auth.desk import Desk
from functions.auth.errors import (
    EmailDomainRefused,
    EmailTaken,
    InvalidCredentials,
    InvalidInvite,
    InvalidRefreshToken,
    PasswordNeeded,
    RegistrationClosed,
    TooManyGuesses,
    WeakPassword,
)
from functions.auth.schemas import Accepted, Forgotten, Login, PasswordReset, Pending, Refresh, Registration, TokensOut, Verification
from parley.auth.one_time_codes import InvalidCode
from parley.http.dependencies import RequestOrigin
from parley.http.problems import error_responses

router = APIRouter()


def desk_of(request: Request) -> Desk:
    """Return what the account functions work with."""
    services: Desk = request.app.state.services
    return services


PENDING: dict[int | str, dict[str, Any]] = {202: {"model": Pending, "description": "A code is on its way"}}
REFUSED = error_responses(RegistrationClosed, InvalidInvite, EmailDomainRefused, EmailTaken, WeakPassword, TooManyGuesses)


@router.post("/auth/register", status_code=201, responses=PENDING | REFUSED)
def register(body: Registration, request: Request, origin: RequestOrigin, response: Response) -> TokensOut | Pending:
    """Make an account and sign it in; where addresses are verified, mail a code first."""
    signed_in = registration.register(desk_of(request), **body.model_dump(), origin=origin)
    if signed_in is None:
        response.status_code = 202
        return Pending()
    return TokensOut.of(signed_in)


@router.post("/auth/verify", responses=error_responses(InvalidCode, PasswordNeeded, InvalidInvite, TooManyGuesses))
def verify(body: Verification, request: Request, origin: RequestOrigin) -> TokensOut:
    """Make the account that the mailed code proves, and sign it in."""
    return TokensOut.of(registration.verify(desk_of(request), **body.model_dump(), origin=origin))


@router.post("/auth/login", responses=error_responses(InvalidCredentials, TooManyGuesses))
def log_in(body: Login, request: Request, origin: RequestOrigin) -> TokensOut:
    """Start a session."""
    return TokensOut.of(sign_in.log_in(desk_of(request), **body.model_dump(), origin=origin))


@router.post("/auth/refresh", responses=error_responses(InvalidRefreshToken))
def refresh(body: Refresh, request: Request, origin: RequestOrigin) -> TokensOut:
    """Exchange a refresh token for a new pair."""
    services = desk_of(request)
    return TokensOut.of(
        sessions.refresh(services.engine, services.key_ring(), body.refresh_token, lifetimes=services.lifetimes, origin=origin)
    )


@router.post("/auth/password/forgot", status_code=202, responses=error_responses(TooManyGuesses))
def forget_password(body: Forgotten, request: Request, origin: RequestOrigin) -> Accepted:
    """Mail a code to the address, if it has an account."""
    password_change.ask_for_reset(desk_of(request), email=body.email, origin=origin)
    return Accepted()


@router.post("/auth/password/reset", status_code=204, responses=error_responses(InvalidCode, WeakPassword, TooManyGuesses))
def reset_password(body: PasswordReset, request: Request, origin: RequestOrigin) -> None:
    """Set a new password by the mailed code; every session ends."""
    password_change.reset_password(desk_of(request), **body.model_dump(), origin=origin)


@router.get("/.well-known/jwks.json")
def jwks(request: Request) -> dict[str, Any]:
    """Publish the keys that tokens are verified with (RFC 7517)."""
    found: dict[str, Any] = desk_of(request).key_ring().jwks()
    return found
