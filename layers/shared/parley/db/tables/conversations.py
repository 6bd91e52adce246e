"""Conversations, their messages, and users' ratings of answers."""

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKeyConstraint, Index, Integer, Table, Text, UniqueConstraint, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from parley.db.tables.columns import metadata, owner, timestamp

conversations = Table(
    "conversations",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("title", Text),
    Column("model", Text),
    Column("system_prompt", Text),
    Column("last_seq", Integer, nullable=False, server_default="0"),
    Column("is_title_automatic", Boolean, nullable=False, server_default="false"),
    timestamp("created_at"),
    timestamp("updated_at"),
    Column("is_incognito", Boolean, nullable=False, server_default="false"),
    Column("mined_upto_seq", Integer, nullable=False, server_default="0"),
    Column("is_pinned", Boolean, nullable=False, server_default="false"),
    Column("assistant_id", Uuid),
    Column("assistant_version", Integer),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("is_archived", Boolean, nullable=False, server_default="false"),
    Column("project_id", Uuid),
    ForeignKeyConstraint(["user_id", "project_id"], ["projects.user_id", "projects.id"], name="conversations_project_fkey"),
    Index("conversations_activity", "user_id", "updated_at", "id"),
)
Index(
    "conversations_pinned",
    conversations.c.user_id,
    conversations.c.updated_at,
    conversations.c.id,
    postgresql_where=conversations.c.is_pinned,
)
Index(
    "conversations_archived",
    conversations.c.user_id,
    conversations.c.updated_at,
    conversations.c.id,
    postgresql_where=conversations.c.is_archived,
)

Index(
    "conversations_project",
    conversations.c.user_id,
    conversations.c.project_id,
    conversations.c.updated_at,
    conversations.c.id,
    postgresql_where=conversations.c.project_id.is_not(None),
)

messages = Table(
    "messages",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("conversation_id", Uuid, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("variant", Integer, nullable=False, server_default="0"),
    Column("is_active", Boolean, nullable=False, server_default="true"),
    Column("role", Text, CheckConstraint("role IN ('user', 'assistant', 'tool')", name="messages_role_check"), nullable=False),
    Column("parts", JSONB, nullable=False),
    Column("model", Text),
    Column("tokens", Integer, nullable=False, server_default="0"),
    Column("status", Text, nullable=False, server_default="completed"),
    timestamp("created_at"),
    Column("is_forgotten", Boolean, nullable=False, server_default="false"),
    ForeignKeyConstraint(["user_id", "conversation_id"], ["conversations.user_id", "conversations.id"], ondelete="CASCADE"),
    UniqueConstraint("user_id", "conversation_id", "seq", "variant", name="messages_place"),
)
Index("messages_active", messages.c.user_id, messages.c.conversation_id, messages.c.seq, unique=True, postgresql_where=messages.c.is_active)

feedback = Table(
    "feedback",
    metadata,
    owner(),
    Column("message_id", Uuid, primary_key=True),
    Column("rating", Text, CheckConstraint("rating IN ('good', 'bad')", name="feedback_rating_check"), nullable=False),
    Column("reason", Text),
    Column("model", Text),
    timestamp("created_at"),
    ForeignKeyConstraint(["user_id", "message_id"], ["messages.user_id", "messages.id"], ondelete="CASCADE"),
    Index("feedback_newest", "created_at", "message_id"),
)
