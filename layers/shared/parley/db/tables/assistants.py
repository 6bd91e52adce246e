"""Assistants and prompts, their versions, and the groups with which they are shared."""

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKeyConstraint, Index, Integer, Table, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from parley.db.tables.columns import metadata, owner, timestamp

assistants = Table(
    "assistants",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("is_shared", Boolean, nullable=False, server_default="false"),
    timestamp("created_at"),
)
Index("assistants_shared", assistants.c.id, postgresql_where=assistants.c.is_shared)

assistant_versions = Table(
    "assistant_versions",
    metadata,
    owner(),
    Column("assistant_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("picture", Text),
    Column("description", Text),
    Column("instructions", Text, nullable=False),
    Column("model", Text),
    Column("tools", JSONB, nullable=False, server_default=text("'true'::jsonb")),
    Column("documents", JSONB, nullable=False, server_default=text("'false'::jsonb")),
    Column("memory", Text, CheckConstraint("memory IN ('all', 'none')", name="assistant_versions_memory_check"), nullable=False),
    Column("starters", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    timestamp("created_at"),
    ForeignKeyConstraint(["user_id", "assistant_id"], ["assistants.user_id", "assistants.id"], ondelete="CASCADE"),
)

assistant_shares = Table(
    "assistant_shares",
    metadata,
    owner(),
    Column("assistant_id", Uuid, primary_key=True),
    Column("group_id", Uuid, primary_key=True),
    timestamp("created_at"),
    ForeignKeyConstraint(["user_id", "assistant_id"], ["assistants.user_id", "assistants.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["user_id", "group_id"], ["group_members.user_id", "group_members.group_id"], ondelete="CASCADE"),
    Index("assistant_shares_group", "group_id", "user_id", "assistant_id"),
    Index("assistant_shares_member", "user_id", "group_id"),
)

prompts = Table(
    "prompts",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("is_shared", Boolean, nullable=False, server_default="false"),
    timestamp("created_at"),
    UniqueConstraint("user_id", "name", name="prompts_name"),
)
Index("prompts_shared", prompts.c.id, postgresql_where=prompts.c.is_shared)

prompt_versions = Table(
    "prompt_versions",
    metadata,
    owner(),
    Column("prompt_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("description", Text),
    Column("text", Text, nullable=False),
    timestamp("created_at"),
    ForeignKeyConstraint(["user_id", "prompt_id"], ["prompts.user_id", "prompts.id"], ondelete="CASCADE"),
)

prompt_shares = Table(
    "prompt_shares",
    metadata,
    owner(),
    Column("prompt_id", Uuid, primary_key=True),
    Column("group_id", Uuid, primary_key=True),
    timestamp("created_at"),
    ForeignKeyConstraint(["user_id", "prompt_id"], ["prompts.user_id", "prompts.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["user_id", "group_id"], ["group_members.user_id", "group_members.group_id"], ondelete="CASCADE"),
    Index("prompt_shares_group", "group_id", "user_id", "prompt_id"),
    Index("prompt_shares_member", "user_id", "group_id"),
)
