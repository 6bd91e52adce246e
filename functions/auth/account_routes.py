"""The routes of the caller's own account: profile, password, e-mail address, sessions, export, deletion and API keys."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from functions.auth import account, sessions
from functions.auth.api_keys import ApiKeyRequest, create_key, revoke_key
from functions.auth.errors import (
    EmailDomainRefused,
    EmailTaken,
    LoginTooOld,
    PasskeyNeeded,
    TooManyApiKeys,
    TooManyAttempts,
    WeakPassword,
    WrongPassword,
)
from functions.auth.refresh_cookie import CrossSiteRequest, RefreshCookieDep
from functions.auth.schemas import (
    Accepted,
    AccountDeletion,
    ApiKeyIn,
    ApiKeyOut,
    AuditEventOut,
    CreatedApiKeyOut,
    EmailChange,
    EmailConfirmation,
    ExportOut,
    IssuerLogoutOut,
    Logout,
    PasswordChange,
    ProfileChange,
    SessionOut,
    UserOut,
)
from functions.auth.services import AuthServicesDep
from parley.auth.one_time_codes import InvalidCode
from parley.auth.principal import ENROLMENT_SCOPE
from parley.db.accounts import api_keys, audit, users
from parley.db.accounts import sessions as stored_sessions
from parley.errors import IdempotencyKeyReused, NotFound
from parley.http.dependencies import CurrentPrincipal, RequestOrigin, Transaction, requires
from parley.http.idempotency import IdempotencyHeader
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import Listing, Page
from parley.http.problems import error_responses

ACCOUNT_SCOPE = [Depends(requires("account"))]
PASSWORD_ERRORS = error_responses(WrongPassword, LoginTooOld, TooManyAttempts)

ISSUER_LOGOUT: dict[int | str, dict[str, Any]] = {200: {"model": IssuerLogoutOut, "description": "The issuer has a logout too"}}

router = APIRouter(route_class=LazyRoute)


@router.post("/auth/logout", status_code=204, response_model=None, responses=ISSUER_LOGOUT | error_responses(CrossSiteRequest))
def log_out(
    services: AuthServicesDep,
    principal: CurrentPrincipal,
    origin: RequestOrigin,
    response: Response,
    cookie: RefreshCookieDep,
    body: Logout | None = None,
) -> IssuerLogoutOut | None:
    """End this session, or all of the user's sessions if `everywhere` is true.

    If an issuer started the session and has a logout of its own, the response is 200 with the address to open for it.
    """
    issuer = account.log_out(services, principal, everywhere=body.everywhere if body else False, origin=origin)
    cookie.clear(response)
    if issuer is None:
        return None
    response.status_code = 200
    return IssuerLogoutOut.model_validate(issuer)


@router.get("/auth/me", dependencies=[Depends(requires("account", ENROLMENT_SCOPE))])
def me(principal: CurrentPrincipal, transaction: Transaction) -> UserOut:
    """Return the caller's account."""
    return UserOut.model_validate(users.get(transaction, principal.user_id))


@router.patch("/auth/me", dependencies=ACCOUNT_SCOPE)
def change_me(body: ProfileChange, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> UserOut:
    """Change the given fields of the caller's profile."""
    changes = body.model_dump(exclude_unset=True)
    if changes:
        audit.record_own(transaction, principal.user_id, "settings_changed", origin, fields=sorted(changes))
    return UserOut.model_validate(users.change(transaction, principal.user_id, changes))


@router.delete("/auth/me", status_code=202, dependencies=ACCOUNT_SCOPE, responses=PASSWORD_ERRORS)
def delete_me(body: AccountDeletion, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> Accepted:
    """Disable the account immediately and delete all of its data within a minute."""
    account.delete_account(services, principal, password=body.password, origin=origin)
    return Accepted()


@router.post("/auth/me/exports", status_code=202, dependencies=ACCOUNT_SCOPE)
def export_me(services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> ExportOut:
    """Request an export of all data stored about the caller."""
    return ExportOut.model_validate(account.request_export(services, principal, origin=origin))


@router.get("/auth/me/exports/{id}", dependencies=ACCOUNT_SCOPE, responses=error_responses(NotFound))
def get_export(id: UUID, services: AuthServicesDep, principal: CurrentPrincipal) -> ExportOut:
    """Return an export, with a download URL once the file is ready."""
    export, url = account.get_export(services, principal, id)
    return ExportOut(id=export.id, status=export.status, url=url, created_at=export.created_at)


@router.post(
    "/auth/password", status_code=204, dependencies=ACCOUNT_SCOPE, responses=error_responses(WrongPassword, TooManyAttempts, WeakPassword)
)
def change_password(body: PasswordChange, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> None:
    """Set a new password, end the caller's other sessions, and revoke the API keys unless `keep_api_keys` is true."""
    account.change_password(services, principal, **body.model_dump(), origin=origin)


@router.post(
    "/auth/email",
    status_code=202,
    dependencies=ACCOUNT_SCOPE,
    responses=error_responses(WrongPassword, LoginTooOld, PasskeyNeeded, EmailDomainRefused, TooManyAttempts),
)
def change_email(body: EmailChange, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> Accepted:
    """Mail a code to the new address."""
    account.request_email_change(services, principal, **body.model_dump(), origin=origin)
    return Accepted()


@router.post(
    "/auth/email/confirm",
    status_code=204,
    dependencies=ACCOUNT_SCOPE,
    responses=error_responses(InvalidCode, PasskeyNeeded, EmailTaken, TooManyAttempts),
)
def confirm_email(body: EmailConfirmation, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> None:
    """Change the address with the code that was mailed to it."""
    account.confirm_email_change(services, principal, code=body.code, origin=origin)


@router.get("/auth/audit", dependencies=ACCOUNT_SCOPE)
def list_events(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[AuditEventOut]:
    """List the audit events of the caller's account, newest first."""
    rows = audit.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=AuditEventOut.model_validate, key=lambda row: [row.id])


@router.get("/auth/sessions", dependencies=ACCOUNT_SCOPE)
def list_sessions(services: AuthServicesDep, principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[SessionOut]:
    """List the caller's active sessions, newest first."""
    idle, after = services.lifetimes.idle, page.after_id()
    rows = stored_sessions.page(transaction, user_id=principal.user_id, idle=idle, limit=page.limit + 1, after=after)
    return page.listing(rows, to_item=lambda row: SessionOut.of(row, principal), key=lambda row: [row.id])


@router.delete("/auth/sessions/{id}", status_code=204, dependencies=ACCOUNT_SCOPE, responses=error_responses(NotFound))
def end_session(id: UUID, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """End one of the caller's sessions."""
    sessions.end_session(transaction, principal, id, origin=origin)


api_keys_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("account"))])


@api_keys_router.post(
    "/auth/api-keys",
    status_code=201,
    response_model=CreatedApiKeyOut,
    responses=error_responses(WrongPassword, LoginTooOld, TooManyAttempts, TooManyApiKeys, IdempotencyKeyReused),
)
def make_api_key(
    body: ApiKeyIn, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin, idempotency: IdempotencyHeader
) -> BaseModel | dict[str, Any]:
    """Create an API key. Only this response shows the key.

    Requires the caller's current password, or a login at an issuer within the last ten minutes.
    """
    fields = body.model_dump(exclude={"password"})
    request = idempotency.request("POST /auth/api-keys", body, render=CreatedApiKeyOut.of, secrets={"key", "password"})
    return create_key(services, principal, ApiKeyRequest(**fields), request, password=body.password, origin=origin).response


@api_keys_router.get("/auth/api-keys")
def list_api_keys(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[ApiKeyOut]:
    """List the caller's API keys, newest first, without the keys themselves."""
    rows = api_keys.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=ApiKeyOut.model_validate, key=lambda row: [row.id])


@api_keys_router.delete("/auth/api-keys/{id}", status_code=204, responses=error_responses(NotFound))
def revoke_api_key(id: UUID, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """Revoke an API key with immediate effect."""
    revoke_key(transaction, principal, id, origin=origin)
