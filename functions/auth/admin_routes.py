"""The routes of admins."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy import Connection

from functions.auth import admin
from functions.auth.admin import create_invite_once
from functions.auth.admin_schemas import AccountChange, AccountOut, InviteOut, MadeInviteOut, NewInvite, UsageLineOut
from functions.auth.errors import OwnAccount
from functions.auth.login_routes import services_of
from parley.db.accounts import administration as accounts
from parley.db.accounts import invites
from parley.db.transactions import global_scope
from parley.errors import IdempotencyKeyReused, NotFound
from parley.http.date_range import DateRangeQuery
from parley.http.dependencies import CurrentPrincipal, requires
from parley.http.idempotency import IdempotencyHeader
from parley.http.paging import Listing, Page, read_id, read_key
from parley.http.problems import error_responses

router = APIRouter(dependencies=[Depends(requires("admin"))])


async def admin_transaction(request: Request, principal: CurrentPrincipal) -> AsyncIterator[Connection]:
    """Open a transaction over all users, for who is an admin now and not only by their token."""
    services = services_of(request)
    admin.require_admin(services.engine, principal)
    with global_scope(services.background) as connection:
        yield connection


AdminTransaction = Annotated[Connection, Depends(admin_transaction, scope="function")]


@router.get("/admin/users")
def list_users(
    transaction: AdminTransaction, page: Page, email: Annotated[str | None, Query(max_length=254, pattern=r"^[^\x00]*$")] = None
) -> Listing[AccountOut]:
    """List the accounts, newest first; `email` is a part of the address to look for."""
    found = accounts.page(transaction, limit=page.limit + 1, after=read_id(page.after), email_part=email)
    return page.listing(found, to_item=AccountOut.of, key=lambda row: [row.id])


@router.patch("/admin/users/{id}", responses=error_responses(NotFound, OwnAccount))
def change_user(id: UUID, body: AccountChange, principal: CurrentPrincipal, transaction: AdminTransaction) -> AccountOut:
    """Disable or enable an account, change its role or its monthly budget."""
    changes = body.model_dump(exclude_unset=True)
    return AccountOut.of(admin.change_account(transaction, principal, id, changes))


@router.get("/admin/usage")
def usage(
    transaction: AdminTransaction, page: Page, period: DateRangeQuery, group_by: Annotated[str, Query(max_length=30)] = "user"
) -> Listing[UsageLineOut]:
    """Add up turns, tokens and cost, dearest first. `group_by` names one or more of user, model and day, separated by commas."""
    offset = read_key(page.after, admin.parse_offset) or 0
    groups = admin.parse_groups(group_by)
    found = accounts.grouped_usage(transaction, start=period.start, end=period.end, group_by=groups, limit=page.limit + 1, offset=offset)
    return page.listing(found, to_item=UsageLineOut.model_validate, key=lambda _: [offset + page.limit])


@router.post("/admin/invites", status_code=201, response_model=MadeInviteOut, responses=error_responses(IdempotencyKeyReused))
def invite(body: NewInvite, request: Request, principal: CurrentPrincipal, once: IdempotencyHeader) -> MadeInviteOut | dict[str, Any]:
    """Make an invite for one account. What its holder registers with is shown in this answer and never again."""
    return create_invite_once(services_of(request), principal, body, once)


@router.get("/admin/invites")
def list_invites(transaction: AdminTransaction, page: Page) -> Listing[InviteOut]:
    """List the open invites, newest first, without what is registered with."""
    found = invites.page(transaction, limit=page.limit + 1, after=read_id(page.after))
    return page.listing(found, to_item=InviteOut.model_validate, key=lambda row: [row.id])


@router.delete("/admin/invites/{id}", status_code=204, responses=error_responses(NotFound))
def uninvite(id: UUID, transaction: AdminTransaction) -> None:
    """Take an invite back."""
    invites.remove(transaction, id)
