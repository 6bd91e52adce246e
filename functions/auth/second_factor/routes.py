"""The routes of the second factor: enrolment, removal, and the second step of a login."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from functions.auth.errors import InvalidCredentials, LoginTooOld, PasskeyNeeded, TooManyAttempts, WrongPassword
from functions.auth.refresh_cookie import CrossSiteRequest, RefreshCookieDep
from functions.auth.schemas import CurrentPassword, TokensOut
from functions.auth.second_factor import totp
from functions.auth.second_factor.totp import InvalidSecondFactor, SecondFactorOn
from functions.auth.services import AuthServicesDep
from parley.auth.principal import ENROLMENT_SCOPE
from parley.db.accounts import second_factors
from parley.http.dependencies import CurrentPrincipal, RequestOrigin, Transaction, requires
from parley.http.lazy_routes import LazyRoute
from parley.http.problems import error_responses
from parley.http.schemas import Input, Output

ACCOUNT_SCOPE = [Depends(requires("account"))]
MAY_ENROL = [Depends(requires("account", ENROLMENT_SCOPE))]
FactorCode = Annotated[str, Field(min_length=1, max_length=40, examples=["123456"])]

router = APIRouter(route_class=LazyRoute)


class SecondFactorOut(Output):
    """Whether logins need a second factor, and how many recovery codes are left."""

    enabled: bool
    recovery_codes_left: int


class EnrolmentIn(Input):
    """POST /auth/second-factor."""

    password: CurrentPassword = None


class EnrolmentOut(Output):
    """A new secret for an authenticator app, as text, as an address, and as a QR code of the address (SVG). It counts once confirmed."""

    secret: str
    uri: str
    qr_svg: str


class SecondFactorConfirmation(Input):
    """POST /auth/second-factor/confirm."""

    code: FactorCode


class RecoveryCodesOut(Output):
    """Codes that each replace one code of the app. They are shown once."""

    recovery_codes: list[str]


class SecondFactorRemoval(Input):
    """DELETE /auth/second-factor."""

    code: FactorCode
    password: CurrentPassword = None


class SecondFactorLogin(Input):
    """POST /auth/login/second-factor. `code` is one of the app or a recovery code."""

    challenge: Annotated[str, Field(max_length=200)]
    code: FactorCode


@router.post(
    "/auth/login/second-factor",
    responses=error_responses(CrossSiteRequest, InvalidSecondFactor, InvalidCredentials, TooManyAttempts),
)
def log_in_with_code(
    body: SecondFactorLogin, services: AuthServicesDep, origin: RequestOrigin, response: Response, cookie: RefreshCookieDep
) -> TokensOut:
    """Start a session with the challenge of `POST /auth/login` and a code."""
    return cookie.deliver(totp.log_in(services, **body.model_dump(), origin=origin), response)


@router.get("/auth/second-factor", dependencies=MAY_ENROL)
def get_second_factor(principal: CurrentPrincipal, transaction: Transaction) -> SecondFactorOut:
    """Say whether the caller's logins need a second factor."""
    factor = second_factors.find(transaction, user_id=principal.user_id)
    left = second_factors.count_recovery_codes(transaction, user_id=principal.user_id)
    return SecondFactorOut(enabled=factor is not None and factor.confirmed_at is not None, recovery_codes_left=left)


@router.post(
    "/auth/second-factor",
    status_code=201,
    dependencies=MAY_ENROL,
    responses=error_responses(WrongPassword, LoginTooOld, PasskeyNeeded, SecondFactorOn, TooManyAttempts),
)
def begin_second_factor(body: EnrolmentIn, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> EnrolmentOut:
    """Create a secret for an authenticator app. Nothing changes until it is confirmed."""
    return EnrolmentOut.model_validate(totp.begin(services, principal, password=body.password, origin=origin))


@router.post(
    "/auth/second-factor/confirm",
    dependencies=MAY_ENROL,
    responses=error_responses(InvalidSecondFactor, PasskeyNeeded, TooManyAttempts),
)
def confirm_second_factor(
    body: SecondFactorConfirmation, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin
) -> RecoveryCodesOut:
    """Turn the second factor on with a code of the app, and end other sessions. Only this response shows the recovery codes."""
    return RecoveryCodesOut(recovery_codes=totp.confirm(services, principal, code=body.code, origin=origin))


@router.delete(
    "/auth/second-factor",
    status_code=204,
    dependencies=ACCOUNT_SCOPE,
    responses=error_responses(WrongPassword, LoginTooOld, InvalidSecondFactor, TooManyAttempts),
)
def remove_second_factor(body: SecondFactorRemoval, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> None:
    """Turn the second factor off, with a code."""
    totp.remove(services, principal, password=body.password, code=body.code, origin=origin)
