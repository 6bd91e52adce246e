"""The routes of groups."""

from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import TypeAdapter

from functions.auth.groups import membership
from functions.auth.groups.errors import GroupManaged, LastOwner, NotAMember, OwnersOnly, ShareTooLarge, TooManyGroups, TooManyMembers
from functions.auth.groups.schemas import GroupChange, GroupFields, GroupOut, InvitationOut, MemberIn, MemberOut, MemberRef
from functions.auth.services import AuthServicesDep
from parley.db.groups import membership as stored
from parley.db.groups.pools import PaidByAnotherGroup
from parley.db.transactions import principal_scope
from parley.errors import NotFound
from parley.http.dependencies import CurrentPrincipal, RequestOrigin, Transaction, requires
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import CursorText, Listing, Page
from parley.http.problems import error_responses

EMAIL_KEY = TypeAdapter(tuple[CursorText])
OWNERS_ONLY = error_responses(NotFound, OwnersOnly)

router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("account"))])


@router.post("/auth/groups", status_code=201, responses=error_responses(TooManyGroups))
def found(body: GroupFields, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> GroupOut:
    """Create a group. The caller is its owner."""
    return GroupOut.model_validate(membership.found(transaction, principal, name=body.name, origin=origin))


@router.get("/auth/groups")
def list_groups(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[GroupOut]:
    """List the caller's groups and invitations, newest first."""
    rows = stored.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=GroupOut.model_validate, key=lambda row: [row.id])


@router.get("/auth/groups/{id}", responses=error_responses(NotFound))
def get_group(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> GroupOut:
    """Return a group that the caller belongs to or is invited to."""
    return GroupOut.model_validate(stored.get(transaction, id, user_id=principal.user_id))


@router.patch("/auth/groups/{id}", responses=OWNERS_ONLY | error_responses(ShareTooLarge))
def change_group(id: UUID, body: GroupChange, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> GroupOut:
    """Rename a group, or set its members' share of the group's budget. Only owners can."""
    return GroupOut.model_validate(membership.change(services, principal, id, body.model_dump(exclude_unset=True), origin=origin))


@router.delete("/auth/groups/{id}", status_code=204, responses=OWNERS_ONLY)
def delete_group(id: UUID, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """Delete a group with its invitations and shares. Only owners can. Documents stay with the members who shared them."""
    membership.remove(transaction, principal, id, origin=origin)


@router.get("/auth/groups/{id}/members", responses=error_responses(NotFound))
def list_members(id: UUID, principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[MemberOut]:
    """List a group's members by e-mail address. Owners also see who is invited."""
    stored.get(transaction, id, user_id=principal.user_id)
    (after,) = page.after(EMAIL_KEY) or (None,)
    rows = stored.members(transaction, id, user_id=principal.user_id, limit=page.limit + 1, after=after)
    return page.listing(rows, to_item=MemberOut.model_validate, key=lambda row: [row.email])


@router.put("/auth/groups/{id}/members", responses=OWNERS_ONLY | error_responses(NotAMember, LastOwner, TooManyMembers))
def set_member(id: UUID, body: MemberIn, services: AuthServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> InvitationOut:
    """Invite an e-mail address to the group, or change the role of a member. Only owners can.

    The response does not tell whether the address has an account. The user with this address finds the invitation among their
    groups for 30 days, and joins or declines. If the deployment sends e-mail, the address is told, without the group's name.
    """
    with principal_scope(services.engine, principal) as connection:
        is_invited = membership.set_member(connection, principal, id, email=body.email, role=body.role, origin=origin)
    return InvitationOut(mailed=is_invited and membership.mail_invitation(services, principal, body.email))


@router.delete("/auth/groups/{id}/members", status_code=204, responses=OWNERS_ONLY | error_responses(LastOwner, GroupManaged))
def remove_member(id: UUID, body: MemberRef, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """Remove a member or an invitation. With their own address, callers leave the group or decline the invitation.

    The member loses access to the group's documents at once, and the group loses access to the member's.
    """
    membership.remove_member(transaction, principal, id, email=body.email, origin=origin)


@router.post("/auth/groups/{id}/join", responses=error_responses(NotFound, TooManyGroups, PaidByAnotherGroup))
def join(id: UUID, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> GroupOut:
    """Accept an invitation."""
    return GroupOut.model_validate(membership.join(transaction, principal, id, origin=origin))
