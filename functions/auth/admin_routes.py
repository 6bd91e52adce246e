"""The admin routes: accounts, invites, usage, feedback and the audit.

Each route checks the caller's current role, not only the role in the token.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, TypeAdapter

from functions.auth import admin
from functions.auth.admin_schemas import (
    AccountChange,
    AccountOut,
    AllSessionsEnd,
    CreatedInviteOut,
    DeploymentEventOut,
    EndedSessionsOut,
    InviteIn,
    InviteOut,
    RatedAnswerOut,
    SessionsEnd,
    UsageGroupOut,
)
from functions.auth.errors import LoginTooOld, OwnAccount, TooManyAttempts, WrongPassword
from functions.auth.schemas import ExportOut
from functions.auth.services import AuthServicesDep
from parley.db.accounts import administration as accounts
from parley.db.accounts import deployment_audit, invites
from parley.db.accounts.deployment_audit import AuditFilter
from parley.db.engine import Connection
from parley.db.transactions import global_scope
from parley.db.turn import feedback
from parley.db.turn.feedback import Rating
from parley.errors import IdempotencyKeyReused, NotFound
from parley.http.date_range import DateRangeQuery
from parley.http.dependencies import CurrentPrincipal, RequestOrigin, requires
from parley.http.idempotency import IdempotencyHeader
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import CursorNumber, Listing, Page
from parley.http.problems import error_responses

OFFSET_KEY = TypeAdapter(tuple[CursorNumber])
FEEDBACK_KEY = TypeAdapter(tuple[datetime, UUID])

router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("admin"))])


async def admin_transaction(services: AuthServicesDep, principal: CurrentPrincipal) -> AsyncIterator[Connection]:
    """Open a transaction that sees all users' rows. Raises Forbidden unless the caller is an admin now."""
    admin.require_admin(services.engine, principal)
    with global_scope(services.background) as connection:
        yield connection


AdminTransaction = Annotated[Connection, Depends(admin_transaction, scope="function")]


@router.get("/admin/users")
def list_users(
    transaction: AdminTransaction, page: Page, email: Annotated[str | None, Query(max_length=254, pattern=r"^[^\x00]*$")] = None
) -> Listing[AccountOut]:
    """List the accounts, newest first. `email` filters by any part of the address."""
    rows = accounts.page(transaction, limit=page.limit + 1, after=page.after_id(), email_part=email)
    return page.listing(rows, to_item=AccountOut.of, key=lambda row: [row.id])


@router.patch("/admin/users/{id}", responses=error_responses(NotFound, OwnAccount))
def change_user(
    id: UUID, body: AccountChange, principal: CurrentPrincipal, transaction: AdminTransaction, origin: RequestOrigin
) -> AccountOut:
    """Disable or enable an account, or change its role or monthly budget."""
    changes = body.model_dump(exclude_unset=True)
    return AccountOut.of(admin.change_account(transaction, principal, id, changes, origin=origin))


@router.delete("/admin/users/{id}/sessions", responses=error_responses(NotFound))
def end_sessions(
    id: UUID, principal: CurrentPrincipal, transaction: AdminTransaction, origin: RequestOrigin, body: SessionsEnd | None = None
) -> EndedSessionsOut:
    """End all sessions of an account, but not the one that asks, and revoke its API keys if `revoke_api_keys` is true."""
    revoke_api_keys = body is not None and body.revoke_api_keys
    return EndedSessionsOut.of([admin.end_sessions(transaction, principal, id, revoke_api_keys=revoke_api_keys, origin=origin)])


@router.delete("/admin/sessions", responses=error_responses(WrongPassword, LoginTooOld, TooManyAttempts))
def end_all_sessions(
    body: AllSessionsEnd, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin
) -> EndedSessionsOut:
    """End the sessions of all users, but not the one that asks, and revoke all API keys if `revoke_api_keys` is true.

    Requires the admin's current password, or a login at an issuer within the last ten minutes.
    """
    return EndedSessionsOut.of(admin.end_all_sessions(services, principal, **body.model_dump(), origin=origin))


@router.get("/admin/usage")
def usage(
    transaction: AdminTransaction, page: Page, period: DateRangeQuery, group_by: Annotated[str, Query(max_length=30)] = "user"
) -> Listing[UsageGroupOut]:
    """Sum turns, tokens and cost by group, most expensive first.

    `group_by` lists one or more of user, model and day, separated by commas.
    """
    offset = (page.after(OFFSET_KEY) or (0,))[0]
    groups = admin.parse_groups(group_by)
    rows = accounts.grouped_usage(transaction, start=period.start, end=period.end, group_by=groups, limit=page.limit + 1, offset=offset)
    numbered = list(enumerate(rows, offset + 1))
    return page.listing(numbered, to_item=lambda row: UsageGroupOut.model_validate(row[1]), key=lambda row: row[:1])


@router.get("/admin/feedback")
def list_feedback(transaction: AdminTransaction, page: Page, rating: Rating | None = None) -> Listing[RatedAnswerOut]:
    """List users' ratings of answers, newest first, without the answers."""
    key = page.after(FEEDBACK_KEY)
    after = feedback.FeedbackCursor(*key) if key else None
    rows = feedback.page(transaction, limit=page.limit + 1, after=after, rating=rating)
    return page.listing(rows, to_item=RatedAnswerOut.model_validate, key=lambda row: [row.created_at, row.message_id])


@router.post("/admin/invites", status_code=201, response_model=CreatedInviteOut, responses=error_responses(IdempotencyKeyReused))
def invite(
    body: InviteIn, services: AuthServicesDep, principal: CurrentPrincipal, idempotency: IdempotencyHeader, origin: RequestOrigin
) -> BaseModel | dict[str, Any]:
    """Create an invite for one account. Only this response shows the code to register with."""
    request = idempotency.request("POST /admin/invites", body, render=CreatedInviteOut.of, secrets={"invite"})
    return admin.invite_once(services, principal, request, **body.model_dump(), origin=origin).response


@router.get("/admin/invites")
def list_invites(transaction: AdminTransaction, page: Page) -> Listing[InviteOut]:
    """List the open invites, newest first, without their codes."""
    rows = invites.page(transaction, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=InviteOut.model_validate, key=lambda row: [row.id])


@router.delete("/admin/invites/{id}", status_code=204, responses=error_responses(NotFound))
def uninvite(id: UUID, principal: CurrentPrincipal, transaction: AdminTransaction, origin: RequestOrigin) -> None:
    """Withdraw an invite."""
    admin.withdraw_invite(transaction, principal, id, origin=origin)


@router.get("/admin/audit")
def list_audit(
    transaction: AdminTransaction,
    page: Page,
    period: DateRangeQuery,
    actor_id: UUID | None = None,
    account_id: UUID | None = None,
    action: Annotated[str | None, Query(max_length=40, pattern=r"^[a-z_]*$")] = None,
) -> Listing[DeploymentEventOut]:
    """List the audit of the deployment, newest first: who did what to whose account, from which network. It contains no text of a user.

    The period is the current month by default.
    """
    which = AuditFilter(actor_id, account_id, action or None, period.start, period.end)
    rows = deployment_audit.page(transaction, which, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=DeploymentEventOut.model_validate, key=lambda row: [row.id])


@router.post("/admin/audit/exports", status_code=202)
def export_audit(services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> ExportOut:
    """Request an export of the deployment's audit as JSON lines: its newest 500,000 rows. Poll `GET /auth/me/exports/{id}` for its URL."""
    return ExportOut.model_validate(admin.request_audit_export(services, principal, origin=origin))
