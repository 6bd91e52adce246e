"""Budgets of groups, as admins set them. Every function requires the background role.

A group with a monthly budget is a paying group: its members' calls are charged to its pool (`parley.db.metering.budgets`), too. The
share is the monthly budget of each member who has none of their own.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text, update
from sqlalchemy.exc import IntegrityError

from parley.db.metering.budgets import MONTH, NEXT_MONTH
from parley.db.tables import group_members, groups
from parley.errors import NotFound, ParleyError


class PaidByAnotherGroup(ParleyError):
    """A user would be a member of two groups with a budget."""

    status, code = 409, "paid_by_another_group"
    public_message = "A user can be a member of one group with a budget only."


@dataclass(frozen=True, slots=True)
class FundedGroup:
    """A group with its budgets, and what its members have spent and reserved in the current month."""

    id: UUID
    name: str
    members: int
    monthly_budget_usd: Decimal | None
    member_budget_usd: Decimal | None
    spent_usd: Decimal
    reserved_usd: Decimal
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LowPool:
    """A pool of which most is spent this month, and an owner of its group."""

    group_id: UUID
    owner_id: UUID
    budget_usd: Decimal
    spent_usd: Decimal
    renews_at: datetime


def low_pools(connection: Connection, *, share: Decimal) -> list[LowPool]:
    """Return the pools of which at least `share` is spent this month, once for each owner of the group."""
    return [LowPool(**row._mapping) for row in connection.execute(_LOW, {"share": share})]


def page(connection: Connection, *, limit: int, after: UUID | None) -> list[FundedGroup]:
    """Return up to `limit` groups that follow the group `after`, newest first."""
    rows = connection.execute(_GROUPS, {"group_id": None, "after": after, "limit": limit})
    return [FundedGroup(**row._mapping) for row in rows]


def change(connection: Connection, group_id: UUID, changes: dict[str, Any]) -> FundedGroup:
    """Set `monthly_budget_usd` and `member_budget_usd`, and return the group. The caller holds the group's lock.

    Raises NotFound, and PaidByAnotherGroup if a member belongs to another group with a budget.
    """
    if changes:
        connection.execute(update(groups).where(groups.c.id == group_id).values(changes))
    group = get(connection, group_id)
    pays = group.monthly_budget_usd is not None
    try:
        with connection.begin_nested():
            connection.execute(update(group_members).where(group_members.c.group_id == group_id).values(pays=pays))
    except IntegrityError as exc:
        raise PaidByAnotherGroup(f"a member of group {group_id} is in another group with a budget") from exc
    return group


def get(connection: Connection, group_id: UUID) -> FundedGroup:
    """Return a group, or raise NotFound."""
    row = connection.execute(_GROUPS, {"group_id": group_id, "after": None, "limit": 1}).one_or_none()
    if row is None:
        raise NotFound("group", group_id)
    return FundedGroup(**row._mapping)


_LOW = text(
    f"""
    SELECT g.id AS group_id, m.user_id AS owner_id, g.monthly_budget_usd AS budget_usd, b.spent_usd, {NEXT_MONTH} AS renews_at
      FROM group_budgets b JOIN groups g ON g.id = b.group_id JOIN group_members m ON m.group_id = g.id AND m.role = 'owner'
     WHERE b.month = {MONTH} AND g.monthly_budget_usd > 0 AND b.spent_usd >= :share * g.monthly_budget_usd
    """  # noqa: S608 - constants only
)
_GROUPS = text(
    f"""
    SELECT g.id, g.name, (SELECT count(*) FROM group_members m WHERE m.group_id = g.id) AS members,
           g.monthly_budget_usd, g.member_budget_usd, coalesce(b.spent_usd, 0) AS spent_usd, coalesce(b.reserved_usd, 0) AS reserved_usd,
           g.created_at
      FROM groups g LEFT JOIN group_budgets b ON b.group_id = g.id AND b.month = {MONTH}
     WHERE g.id = coalesce(CAST(:group_id AS uuid), g.id) AND (CAST(:after AS uuid) IS NULL OR g.id < CAST(:after AS uuid))
     ORDER BY g.id DESC LIMIT :limit
    """  # noqa: S608 - constants only
)
