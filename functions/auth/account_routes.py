"""The routes of a user's own account."""

from uuid import UUID

from fastapi import APIRouter, Depends, Request

from functions.auth import email_change, erasure, password_change, sessions
from functions.auth.errors import EmailDomainRefused, EmailTaken, TooManyGuesses, WeakPassword, WrongPassword
from functions.auth.schemas import (
    Accepted,
    AuditEventOut,
    EmailChange,
    EmailConfirmation,
    ExportOut,
    Farewell,
    Logout,
    PasswordChange,
    ProfileChange,
    SessionOut,
    UserOut,
)
from functions.auth.sign_in_routes import desk_of
from parley.auth.one_time_codes import InvalidCode
from parley.db.accounts import audit, users
from parley.db.accounts import sessions as stored_sessions
from parley.errors import NotFound
from parley.http.dependencies import CurrentPrincipal, RequestOrigin, Transaction, requires
from parley.http.paging import Listing, Page, read_id
from parley.http.problems import error_responses

router = APIRouter()
ACCOUNT = [Depends(requires("account"))]
PASSWORD = error_responses(WrongPassword, TooManyGuesses)


@router.post("/auth/logout", status_code=204)
def log_out(principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin, body: Logout | None = None) -> None:
    """End this session, or every one of the user."""
    sessions.log_out(transaction, principal, everywhere=body.everywhere if body else False, origin=origin)


@router.get("/auth/me", dependencies=ACCOUNT)
def me(principal: CurrentPrincipal, transaction: Transaction) -> UserOut:
    """Return the caller's account."""
    return UserOut.model_validate(users.get(transaction, principal.user_id))


@router.patch("/auth/me", dependencies=ACCOUNT)
def change_me(body: ProfileChange, principal: CurrentPrincipal, transaction: Transaction) -> UserOut:
    """Change what the body names of the caller's profile."""
    return UserOut.model_validate(users.change(transaction, principal.user_id, body.model_dump(exclude_unset=True)))


@router.delete("/auth/me", status_code=202, dependencies=ACCOUNT, responses=PASSWORD)
def delete_me(body: Farewell, request: Request, principal: CurrentPrincipal, origin: RequestOrigin) -> Accepted:
    """Shut the account at once and delete everything of it within a minute."""
    erasure.erase(desk_of(request), principal, password=body.password, origin=origin)
    return Accepted()


@router.post("/auth/me/exports", status_code=202, dependencies=ACCOUNT)
def export_me(request: Request, principal: CurrentPrincipal, origin: RequestOrigin) -> ExportOut:
    """Have everything stored about the caller written to a file."""
    return ExportOut.model_validate(erasure.ask_for_export(desk_of(request), principal, origin=origin))


@router.get("/auth/me/exports/{id}", dependencies=ACCOUNT, responses=error_responses(NotFound))
def get_export(id: UUID, request: Request, principal: CurrentPrincipal) -> ExportOut:
    """Return an export, with the address of its file once it is ready."""
    export, url = erasure.get_export(desk_of(request), principal, id)
    return ExportOut(id=export.id, status=export.status, url=url, created_at=export.created_at)


@router.post("/auth/password", status_code=204, dependencies=ACCOUNT, responses=PASSWORD | error_responses(WeakPassword))
def change_password(body: PasswordChange, request: Request, principal: CurrentPrincipal, origin: RequestOrigin) -> None:
    """Set a new password; the caller's other sessions end."""
    password_change.change_password(desk_of(request), principal, **body.model_dump(), origin=origin)


@router.post(
    "/auth/email", status_code=202, dependencies=ACCOUNT, responses=error_responses(WrongPassword, EmailDomainRefused, TooManyGuesses)
)
def change_email(body: EmailChange, request: Request, principal: CurrentPrincipal, origin: RequestOrigin) -> Accepted:
    """Mail a code to the new address."""
    email_change.ask_for_change(desk_of(request), principal, **body.model_dump(), origin=origin)
    return Accepted()


@router.post(
    "/auth/email/confirm", status_code=204, dependencies=ACCOUNT, responses=error_responses(InvalidCode, EmailTaken, TooManyGuesses)
)
def confirm_email(body: EmailConfirmation, request: Request, principal: CurrentPrincipal, origin: RequestOrigin) -> None:
    """Take the address that the code went to."""
    email_change.confirm(desk_of(request), principal, code=body.code, origin=origin)


@router.get("/auth/audit", dependencies=ACCOUNT)
def list_events(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[AuditEventOut]:
    """List what happened to the caller's account, newest first."""
    found = audit.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=read_id(page.after))
    return page.listing(found, to_item=AuditEventOut.model_validate, key=lambda row: [row.id])


@router.get("/auth/sessions", dependencies=ACCOUNT)
def list_sessions(request: Request, principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[SessionOut]:
    """List where the caller is signed in, newest first."""
    idle, after = desk_of(request).lifetimes.idle, read_id(page.after)
    found = stored_sessions.page(transaction, user_id=principal.user_id, idle=idle, limit=page.limit + 1, after=after)
    return page.listing(found, to_item=lambda row: SessionOut.of(row, principal), key=lambda row: [row.id])


@router.delete("/auth/sessions/{id}", status_code=204, dependencies=ACCOUNT, responses=error_responses(NotFound))
def end_session(id: UUID, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """End one of the caller's sessions."""
    sessions.end_session(transaction, principal, id, origin=origin)
