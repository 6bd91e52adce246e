"""Links to snapshots of conversations."""

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, LargeBinary, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from parley.db.tables.columns import metadata, owner, required_timestamp, timestamp

shared_links = Table(
    "shared_links",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("conversation_id", Uuid, nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("audience", Text, nullable=False),
    Column("group_id", Uuid),
    Column("title", Text),
    Column("messages", JSONB, nullable=False),
    timestamp("created_at"),
    required_timestamp("expires_at"),
    ForeignKeyConstraint(["user_id", "conversation_id"], ["conversations.user_id", "conversations.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["user_id", "group_id"], ["group_members.user_id", "group_members.group_id"], ondelete="CASCADE"),
    CheckConstraint(
        "audience IN ('public', 'signed_in', 'group') AND (audience = 'group') = (group_id IS NOT NULL)", name="shared_links_audience_check"
    ),
    Index("shared_links_token", "token_hash"),
    Index("shared_links_expiry", "expires_at"),
)
