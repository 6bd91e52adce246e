"""The routes of passkeys: add, list, rename and remove them, and sign in with one.

A browser's part is `navigator.credentials.create` and `get`: `public_key` is what `PublicKeyCredential.parseCreationOptionsFromJSON` and
`parseRequestOptionsFromJSON` take, and `credential` is what `toJSON()` of the result returns.
"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from functions.auth.errors import InvalidCredentials, LoginTooOld, PasskeyNeeded, TooManyAttempts, WrongPassword
from functions.auth.passkeys import login, passkeys
from functions.auth.passkeys.errors import InvalidPasskey, NoPasskey, PasskeyKnown, PasskeysOff, TooManyPasskeys
from functions.auth.passkeys.relying_party import NewCredential, SignedChallenge
from functions.auth.refresh_cookie import CrossSiteRequest, RefreshCookieDep
from functions.auth.schemas import CurrentPassword, TokensOut
from functions.auth.second_factor.totp import InvalidSecondFactor
from functions.auth.services import AuthServicesDep
from parley.auth.principal import ENROLMENT_SCOPE
from parley.db.accounts import passkeys as stored_passkeys
from parley.errors import NotFound
from parley.http.dependencies import CurrentPrincipal, RequestOrigin, Transaction, requires
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import Listing, Page
from parley.http.problems import error_responses
from parley.http.schemas import Input, Output, Timestamp

ACCOUNT_SCOPE = [Depends(requires("account"))]
MAY_ENROL = [Depends(requires("account", ENROLMENT_SCOPE))]
PasskeyName = Annotated[str, Field(min_length=1, max_length=100)]
LoginChallenge = Annotated[
    str | None,
    Field(
        max_length=200, description="The `challenge` of `POST /auth/login`: the passkey replaces the code. Without it, the password too."
    ),
]

router = APIRouter(route_class=LazyRoute)


class PasskeyOptionsOut(Output):
    """The options with which the browser asks an authenticator. They work once, for five minutes."""

    public_key: dict[str, Any]


class PasskeyLoginStart(Input):
    """POST /auth/login/passkey/begin."""

    challenge: LoginChallenge = None


class PasskeyLogin(Input):
    """POST /auth/login/passkey."""

    challenge: LoginChallenge = None
    credential: SignedChallenge


class PasskeyStart(Input):
    """POST /auth/passkeys/begin."""

    password: CurrentPassword = None


class PasskeyIn(Input):
    """POST /auth/passkeys."""

    name: PasskeyName
    credential: NewCredential


class PasskeyChange(Input):
    """PATCH /auth/passkeys/{id}."""

    name: PasskeyName


class PasskeyRemoval(Input):
    """DELETE /auth/passkeys/{id}."""

    password: CurrentPassword = None


class PasskeyOut(Output):
    """A passkey. `is_backed_up` is whether it has been copied to other devices of its user."""

    id: UUID
    name: str
    is_backed_up: bool
    created_at: Timestamp
    last_used_at: Timestamp | None


@router.post("/auth/login/passkey/begin", responses=error_responses(PasskeysOff, NoPasskey, InvalidSecondFactor, TooManyAttempts))
def begin_passkey_login(body: PasskeyLoginStart, services: AuthServicesDep, origin: RequestOrigin) -> PasskeyOptionsOut:
    """Return the browser's options to sign in with a passkey, instead of the password or after it."""
    return PasskeyOptionsOut(public_key=login.begin(services, challenge=body.challenge, origin=origin))


@router.post(
    "/auth/login/passkey",
    responses=error_responses(CrossSiteRequest, PasskeysOff, InvalidPasskey, InvalidSecondFactor, InvalidCredentials, TooManyAttempts),
)
def log_in_with_passkey(
    body: PasskeyLogin, services: AuthServicesDep, origin: RequestOrigin, response: Response, cookie: RefreshCookieDep
) -> TokensOut:
    """Start a session with a passkey."""
    tokens = login.log_in(services, challenge=body.challenge, answer=body.credential, origin=origin)
    return cookie.deliver(tokens, response)


@router.post(
    "/auth/passkeys/begin",
    dependencies=MAY_ENROL,
    responses=error_responses(PasskeysOff, WrongPassword, LoginTooOld, PasskeyNeeded, TooManyAttempts, TooManyPasskeys),
)
def begin_passkey(body: PasskeyStart, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> PasskeyOptionsOut:
    """Return the browser's options for a new passkey."""
    return PasskeyOptionsOut(public_key=passkeys.begin(services, principal, password=body.password, origin=origin))


@router.post(
    "/auth/passkeys",
    status_code=201,
    dependencies=MAY_ENROL,
    responses=error_responses(PasskeysOff, InvalidPasskey, PasskeyKnown, PasskeyNeeded, TooManyPasskeys),
)
def add_passkey(body: PasskeyIn, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> PasskeyOut:
    """Store the passkey that the browser has made with the options of `POST /auth/passkeys/begin`."""
    return PasskeyOut.model_validate(passkeys.add(services, principal, name=body.name, answer=body.credential, origin=origin))


@router.get("/auth/passkeys", dependencies=MAY_ENROL)
def list_passkeys(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[PasskeyOut]:
    """List the caller's passkeys, newest first."""
    rows = stored_passkeys.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=PasskeyOut.model_validate, key=lambda row: [row.id])


@router.patch("/auth/passkeys/{id}", dependencies=ACCOUNT_SCOPE, responses=error_responses(NotFound))
def rename_passkey(id: UUID, body: PasskeyChange, principal: CurrentPrincipal, transaction: Transaction) -> PasskeyOut:
    """Rename a passkey."""
    return PasskeyOut.model_validate(stored_passkeys.rename(transaction, id, body.name, user_id=principal.user_id))


@router.delete(
    "/auth/passkeys/{id}",
    status_code=204,
    dependencies=ACCOUNT_SCOPE,
    responses=error_responses(NotFound, WrongPassword, LoginTooOld, PasskeyNeeded, TooManyAttempts),
)
def remove_passkey(id: UUID, body: PasskeyRemoval, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> None:
    """Remove a passkey. It can no longer sign in. Sessions that it began continue."""
    passkeys.remove(services, principal, id, password=body.password, origin=origin)
