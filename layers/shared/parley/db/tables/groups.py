"""Groups, their members, invitations and budgets, and documents shared with groups."""

from sqlalchemy import Boolean, CheckConstraint, Column, Date, ForeignKey, ForeignKeyConstraint, Index, Numeric, Table, Text, Uuid

from parley.db.tables.columns import metadata, owner, timestamp, usd

groups = Table(
    "groups",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    timestamp("created_at"),
    Column("monthly_budget_usd", Numeric(12, 6)),
    Column("member_budget_usd", Numeric(12, 6)),
    Column("is_managed", Boolean, nullable=False, server_default="false"),
    Column("external_id", Text),
    timestamp("updated_at", nullable=True),
    CheckConstraint("monthly_budget_usd >= 0 AND member_budget_usd >= 0", name="groups_budget_check"),
)


def _of_group() -> Column[object]:
    return Column("group_id", Uuid, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)


group_members = Table(
    "group_members",
    metadata,
    owner(),
    _of_group(),
    Column("role", Text, CheckConstraint("role IN ('owner', 'member')", name="group_members_role_check"), nullable=False),
    timestamp("created_at"),
    Column("pays", Boolean, nullable=False, server_default="false"),
    Index("group_members_group", "group_id", "created_at", "user_id"),
)
Index("group_members_paying", group_members.c.user_id, unique=True, postgresql_where=group_members.c.pays)

group_budgets = Table(
    "group_budgets",
    metadata,
    _of_group(),
    Column("month", Date, primary_key=True),
    usd("reserved_usd"),
    usd("spent_usd"),
)

group_invitations = Table(
    "group_invitations",
    metadata,
    _of_group(),
    Column("email", Text, primary_key=True),
    timestamp("created_at"),
    Index("group_invitations_email", "email"),
    Index("group_invitations_age", "created_at"),
)

document_shares = Table(
    "document_shares",
    metadata,
    owner(),
    Column("document_id", Uuid, primary_key=True),
    Column("group_id", Uuid, primary_key=True),
    timestamp("created_at"),
    ForeignKeyConstraint(["user_id", "document_id"], ["documents.user_id", "documents.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["user_id", "group_id"], ["group_members.user_id", "group_members.group_id"], ondelete="CASCADE"),
    Index("document_shares_group", "group_id", "user_id", "document_id"),
    Index("document_shares_member", "user_id", "group_id"),
)
