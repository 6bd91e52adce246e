"""Request and response models of the group routes."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from functions.auth.schemas import Email
from parley.http.schemas import Input, Output, Timestamp

Usd = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]


GroupName = Annotated[str, Field(min_length=1, max_length=100, examples=["Research"])]


class GroupFields(Input):
    """POST /auth/groups."""

    name: GroupName


class GroupChange(Input):
    """PATCH /auth/groups/{id}. Omitted fields stay unchanged.

    `member_budget_usd` is the budget of each member whose account has none of its own, and at most the group's budget, which an admin
    sets. Null restores the deployment's default.
    """

    name: GroupName | None = None
    member_budget_usd: Usd | None = None


class GroupOut(Output):
    """A group. `role` is the caller's: "invited" until they join. `members` is null for the invited.

    With `monthly_budget_usd`, calls of all members are charged to one pool, of which `spent_usd` is gone this month; `member_budget_usd`
    is the budget of each member whose account has none of its own. Admins set both, and owners the latter. If
    `is_managed`, the organization's identity provider decides who is a member, and nobody owns the group.
    """

    id: UUID
    name: str
    role: Literal["owner", "member", "invited"]
    members: int | None
    monthly_budget_usd: float | None
    member_budget_usd: float | None
    spent_usd: float
    is_managed: bool
    created_at: Timestamp


class MemberIn(Input):
    """PUT /auth/groups/{id}/members. The role of a new address is "member"."""

    email: Email
    role: Literal["member", "owner"] = "member"


class InvitationOut(Output):
    """Whether an e-mail tells the address that it is invited: false after a change of a role or a repeated invitation, without a
    sender of e-mails, for an address whose domain may not register, and after too many invitations in a day.
    """

    mailed: bool


class MemberRef(Input):
    """DELETE /auth/groups/{id}/members: the address of a member or an invitation."""

    email: Email


class MemberOut(Output):
    """A member of a group, or an invited address, which only owners see."""

    email: str
    display_name: str | None
    role: Literal["owner", "member", "invited"]
    created_at: Timestamp


class GroupBudgets(Input):
    """PATCH /admin/groups/{id}. Omitted fields stay unchanged.

    `monthly_budget_usd` is the pool of all members together; null ends it. `member_budget_usd` is the budget of each member whose
    account has none of its own; null restores the deployment's default.
    """

    monthly_budget_usd: Usd | None = None
    member_budget_usd: Usd | None = None


class FundedGroupOut(Output):
    """A group, as shown to admins, with what its members have spent and reserved this month."""

    id: UUID
    name: str
    members: int
    monthly_budget_usd: float | None
    member_budget_usd: float | None
    spent_usd: float
    reserved_usd: float
    created_at: Timestamp
