"""The admin routes of groups: their budgets."""

from uuid import UUID

from fastapi import APIRouter, Depends

from functions.auth.admin import record_act
from functions.auth.admin_routes import AdminTransaction
from functions.auth.groups import membership
from functions.auth.groups.schemas import FundedGroupOut, GroupBudgets
from parley.db.groups import pools
from parley.db.groups.pools import PaidByAnotherGroup
from parley.errors import NotFound
from parley.http.dependencies import CurrentPrincipal, RequestOrigin, requires
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import Listing, Page
from parley.http.problems import error_responses

router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("admin"))])


@router.get("/admin/groups")
def list_all_groups(transaction: AdminTransaction, page: Page) -> Listing[FundedGroupOut]:
    """List the groups with their budgets, newest first."""
    rows = pools.page(transaction, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=FundedGroupOut.model_validate, key=lambda row: [row.id])


@router.patch("/admin/groups/{id}", responses=error_responses(NotFound, PaidByAnotherGroup))
def fund_group(
    id: UUID, body: GroupBudgets, principal: CurrentPrincipal, transaction: AdminTransaction, origin: RequestOrigin
) -> FundedGroupOut:
    """Set or end a group's monthly budget and its members' share. A user can be a member of one group with a budget only."""
    changes = body.model_dump(exclude_unset=True)
    funded = FundedGroupOut.model_validate(membership.fund(transaction, principal, id, changes))
    record_act(transaction, principal, "group_funded", origin, group_id=str(id), changes=changes)
    return funded
