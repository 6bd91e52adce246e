"""Groups, their members, and invitations by e-mail address.

Every function acts for the user `user_id`, also where row level security would suffice. An invitation names an address, not an
account: whether the address has an account stays hidden until its owner joins.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, Exists, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from parley.db.groups.pools import PaidByAnotherGroup
from parley.db.metering.budgets import MONTH
from parley.db.tables import group_invitations, group_members, groups
from parley.errors import NotFound

type Role = Literal["owner", "member"]

INVITATION_DAYS = 30


@dataclass(frozen=True, slots=True)
class Group:
    """A group as one user sees it. `members` is the number of members, None for a user who is only invited.

    `monthly_budget_usd` is the pool of all members, `member_budget_usd` the share of each; None without a budget. `spent_usd` is
    what the members have spent of the pool this month. `is_managed` is whether the identity provider manages the group.
    """

    id: UUID
    name: str
    role: Literal["owner", "member", "invited"]
    members: int | None
    created_at: datetime
    monthly_budget_usd: Decimal | None
    member_budget_usd: Decimal | None
    spent_usd: Decimal
    is_managed: bool


@dataclass(frozen=True, slots=True)
class Member:
    """A member, or an invitation of an address, which has no `user_id` yet. Only owners see invitations of others."""

    user_id: UUID | None
    email: str
    display_name: str | None
    role: Literal["owner", "member", "invited"]
    created_at: datetime


def add(connection: Connection, group_id: UUID, *, user_id: UUID, name: str) -> None:
    """Store a group with the user as its owner."""
    # Without RETURNING: the policy shows the group only to its members, and the first member follows.
    connection.execute(insert(groups).values(id=group_id, name=name))
    connection.execute(insert(group_members).values(user_id=user_id, group_id=group_id, role="owner"))


def get(connection: Connection, group_id: UUID, *, user_id: UUID) -> Group:
    """Return a group that the user belongs to or is invited to, or raise NotFound."""
    values = {"user_id": user_id, "group_id": group_id, "after": None, "limit": 1}
    row = connection.execute(_GROUPS, values).one_or_none()
    if row is None:
        raise NotFound("group", group_id)
    return Group(**row._mapping)


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None) -> list[Group]:
    """Return up to `limit` groups of the user, invitations included, that follow the group `after`, newest first."""
    values = {"user_id": user_id, "group_id": None, "after": after, "limit": limit}
    return [Group(**row._mapping) for row in connection.execute(_GROUPS, values)]


def count(connection: Connection, *, user_id: UUID) -> int:
    """Return the number of groups that the user is a member of."""
    return connection.execute(select(func.count()).where(group_members.c.user_id == user_id)).scalar_one()


def rename(connection: Connection, group_id: UUID, name: str, *, user_id: UUID) -> None:
    """Rename a group of which the user is an owner, or raise NotFound."""
    if connection.execute(update(groups).where(groups.c.id == group_id, _is_owner(group_id, user_id)).values(name=name)).rowcount == 0:
        raise NotFound("group", group_id)


def remove(connection: Connection, group_id: UUID, *, user_id: UUID) -> None:
    """Delete a group of which the user is an owner, with its members, invitations and shares, or raise NotFound."""
    if connection.execute(delete(groups).where(groups.c.id == group_id, _is_owner(group_id, user_id))).rowcount == 0:
        raise NotFound("group", group_id)


def members(connection: Connection, group_id: UUID, *, user_id: UUID, limit: int, after: str | None = None) -> list[Member]:
    """Return up to `limit` members of a group of the user that follow the address `after`, by address. Owners see invitations, too."""
    values = {"user_id": user_id, "group_id": group_id, "after": after, "email": None, "limit": limit}
    return [Member(**row._mapping) for row in connection.execute(_MEMBERS, values)]


def find_member(connection: Connection, group_id: UUID, email: str, *, user_id: UUID) -> Member | None:
    """Return the member or invitation with this address, or None."""
    values = {"user_id": user_id, "group_id": group_id, "after": None, "email": email, "limit": 1}
    row = connection.execute(_MEMBERS, values).one_or_none()
    return Member(**row._mapping) if row else None


def count_members(connection: Connection, group_id: UUID, *, user_id: UUID) -> int:
    """Return the number of members and invitations of a group of which the user is an owner."""
    return int(connection.execute(_COUNT, {"user_id": user_id, "group_id": group_id}).scalar_one())


def has_other_owner(connection: Connection, group_id: UUID, member_id: UUID) -> bool:
    """Whether a group has an owner besides the member `member_id`."""
    which = (group_members.c.group_id == group_id, group_members.c.role == "owner", group_members.c.user_id != member_id)
    return connection.execute(select(group_members.c.user_id).where(*which).limit(1)).first() is not None


def set_role(connection: Connection, group_id: UUID, member_id: UUID, role: Role, *, user_id: UUID) -> None:
    """Change a member's role in a group of which the user is an owner."""
    which = (group_members.c.group_id == group_id, group_members.c.user_id == member_id, _is_owner(group_id, user_id))
    connection.execute(update(group_members).where(*which).values(role=role))


def remove_member(connection: Connection, group_id: UUID, member_id: UUID, *, user_id: UUID) -> None:
    """Remove a member; the user is this member or an owner. The member's documents are no longer shared with the group."""
    which = [group_members.c.group_id == group_id, group_members.c.user_id == member_id]
    if member_id != user_id:
        which.append(_is_owner(group_id, user_id))
    connection.execute(delete(group_members).where(*which))


def invite(connection: Connection, group_id: UUID, email: str) -> bool:
    """Invite an address; False if it is invited already. The caller has checked that the user is an owner, and so does the policy."""
    statement = upsert(group_invitations).values(group_id=group_id, email=email).on_conflict_do_nothing()
    return connection.execute(statement.returning(group_invitations.c.email)).first() is not None


def withdraw(connection: Connection, group_id: UUID, email: str) -> None:
    """Delete the invitation of an address; the user is an owner, or has this address. The caller has checked this."""
    which = (group_invitations.c.group_id == group_id, group_invitations.c.email == email)
    connection.execute(delete(group_invitations).where(*which))


def join(connection: Connection, group_id: UUID, email: str, *, user_id: UUID) -> None:
    """Make an invited user a member. `email` is the user's address, for which the caller has found an invitation.

    Raises PaidByAnotherGroup if both this group and another group of the user have a budget.
    """
    try:
        with connection.begin_nested():
            connection.execute(_JOIN, {"user_id": user_id, "group_id": group_id})
    except IntegrityError as exc:
        raise PaidByAnotherGroup(f"user {user_id} is in another group with a budget") from exc
    # Only now: the policy lets a user join by the invitation.
    withdraw(connection, group_id, email)


def sweep(connection: Connection) -> int:
    """Delete invitations that are older than 30 days, and return their number. Requires the background role."""
    is_old = group_invitations.c.created_at < func.now() - func.make_interval(0, 0, 0, INVITATION_DAYS)
    return connection.execute(delete(group_invitations).where(is_old)).rowcount


def hand_over(connection: Connection, *, user_id: UUID) -> list[UUID]:
    """Prepare the deletion of a user, and return the ids of the groups that have no other member. Requires the background role.

    In every group of which the user is the only owner, the member of longest standing becomes an owner. Groups that the identity
    provider manages remain, also without a member.
    """
    connection.execute(_PROMOTE, {"user_id": user_id})
    return list(connection.execute(_LONELY, {"user_id": user_id}).scalars())


def remove_empty(connection: Connection, group_ids: list[UUID]) -> None:
    """Delete those of the groups that have no member. Requires the background role."""
    has_member = select(group_members.c.user_id).where(group_members.c.group_id == groups.c.id).exists()
    connection.execute(delete(groups).where(groups.c.id.in_(group_ids), ~has_member))


def _is_owner(group_id: UUID, user_id: UUID) -> Exists:
    me = group_members.alias("me")
    return select(me.c.user_id).where(me.c.group_id == group_id, me.c.user_id == user_id, me.c.role == "owner").exists()


_GROUPS = text(
    f"""
    SELECT g.id, g.name, coalesce(m.role, 'invited') AS role, g.created_at,
           CASE WHEN m.role IS NOT NULL THEN (SELECT count(*) FROM group_members f WHERE f.group_id = g.id) END AS members,
           g.monthly_budget_usd, g.member_budget_usd, coalesce(b.spent_usd, 0) AS spent_usd, g.is_managed
      FROM groups g LEFT JOIN group_members m ON m.group_id = g.id AND m.user_id = :user_id
      LEFT JOIN group_budgets b ON b.group_id = m.group_id AND b.month = {MONTH}
     WHERE g.id IN (SELECT group_id FROM group_members WHERE user_id = :user_id
                    UNION ALL
                    SELECT i.group_id FROM users u JOIN group_invitations i ON i.email = u.email WHERE u.id = :user_id)
       AND g.id = coalesce(CAST(:group_id AS uuid), g.id) AND (CAST(:after AS uuid) IS NULL OR g.id < CAST(:after AS uuid))
     ORDER BY g.id DESC LIMIT :limit
    """  # noqa: S608 - constants only
)
_JOIN = text(
    """
    INSERT INTO group_members (user_id, group_id, role, pays)
    SELECT :user_id, id, 'member', monthly_budget_usd IS NOT NULL FROM groups WHERE id = :group_id
    """
)
# A member may have changed to an address that is invited too: the member stands for both.
_MEMBERS = text(
    """
    WITH me AS (SELECT role FROM group_members WHERE group_id = :group_id AND user_id = :user_id)
    SELECT DISTINCT ON (email) * FROM (
           SELECT m.user_id, p.email, p.display_name, m.role, m.created_at
             FROM group_members m JOIN parley_fellows() p ON p.id = m.user_id
            WHERE m.group_id = :group_id AND EXISTS (SELECT FROM me)
            UNION ALL
           SELECT NULL, i.email, NULL, 'invited', i.created_at FROM group_invitations i
            WHERE i.group_id = :group_id
              AND (EXISTS (SELECT FROM me WHERE role = 'owner') OR i.email = (SELECT email FROM users WHERE id = :user_id))) found
     WHERE email = coalesce(CAST(:email AS text), email) AND email > coalesce(CAST(:after AS text), '')
     ORDER BY email, user_id NULLS LAST LIMIT :limit
    """
)
_COUNT = text(
    """
    SELECT (SELECT count(*) FROM group_members WHERE group_id = :group_id)
           + (SELECT count(*) FROM group_invitations WHERE group_id = :group_id)
      FROM group_members WHERE group_id = :group_id AND user_id = :user_id AND role = 'owner'
    """
)
_PROMOTE = text(
    """
    UPDATE group_members SET role = 'owner'
      FROM (SELECT DISTINCT ON (o.group_id) o.group_id, o.user_id
              FROM group_members m JOIN group_members o ON o.group_id = m.group_id AND o.user_id <> m.user_id
             WHERE m.user_id = :user_id AND m.role = 'owner'
               AND NOT EXISTS (SELECT FROM group_members x WHERE x.group_id = m.group_id AND x.user_id <> m.user_id AND x.role = 'owner')
             ORDER BY o.group_id, o.created_at, o.user_id) heir
     WHERE group_members.group_id = heir.group_id AND group_members.user_id = heir.user_id
    """
)
_LONELY = text(
    """
    SELECT m.group_id FROM group_members m JOIN groups g ON g.id = m.group_id AND NOT g.is_managed
     WHERE m.user_id = :user_id AND NOT EXISTS (SELECT FROM group_members o WHERE o.group_id = m.group_id AND o.user_id <> m.user_id)
    """
)
