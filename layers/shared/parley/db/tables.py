"""The tables, as the newest migration leaves them (a test holds the two together).

Every tenant table's primary key starts with `user_id`, and foreign keys carry it, so that the same schema distributes
by user. `users` is global. See docs/adr/0002-shardable-by-user.md.
"""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()


def _moment(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=None if nullable else func.now())


def _owner() -> Column[object]:
    return Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)


users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("display_name", Text),
    Column("role", Text, CheckConstraint("role IN ('user', 'admin')", name="users_role_check"), nullable=False, server_default="user"),
    Column("memory_enabled", Boolean, nullable=False, server_default="true"),
    Column("default_model", Text),
    _moment("created_at"),
)

credentials = Table(
    "credentials",
    metadata,
    _owner(),
    Column("password_hash", Text, nullable=False),
    _moment("updated_at"),
)

sessions = Table(
    "sessions",
    metadata,
    _owner(),
    Column("id", Uuid, primary_key=True),
    _moment("created_at"),
    _moment("last_used_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    _moment("ended_at", nullable=True),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    _owner(),
    Column("hash", LargeBinary, primary_key=True),
    Column("session_id", Uuid, nullable=False),
    Column("parent_hash", LargeBinary),
    _moment("created_at"),
    _moment("used_at", nullable=True),
    ForeignKeyConstraint(["user_id", "session_id"], ["sessions.user_id", "sessions.id"], ondelete="CASCADE"),
    Index("refresh_tokens_session", "user_id", "session_id"),
)

conversations = Table(
    "conversations",
    metadata,
    _owner(),
    Column("id", Uuid, primary_key=True),
    Column("title", Text),
    Column("model", Text),
    Column("system_prompt", Text),
    Column("last_seq", Integer, nullable=False, server_default="0"),
    _moment("created_at"),
    _moment("updated_at"),
    Index("conversations_activity", "user_id", "updated_at", "id"),
)

messages = Table(
    "messages",
    metadata,
    _owner(),
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
    _moment("created_at"),
    ForeignKeyConstraint(["user_id", "conversation_id"], ["conversations.user_id", "conversations.id"], ondelete="CASCADE"),
    UniqueConstraint("user_id", "conversation_id", "seq", "variant", name="messages_place"),
)
Index("messages_active", messages.c.user_id, messages.c.conversation_id, messages.c.seq, unique=True, postgresql_where=messages.c.is_active)

turns = Table(
    "turns",
    metadata,
    _owner(),
    Column("id", Uuid, primary_key=True),
    Column("conversation_id", Uuid, nullable=False),
    Column("status", Text, nullable=False, server_default="running"),
    Column("model", Text, nullable=False),
    Column("user_message_id", Uuid, nullable=False),
    Column("message_id", Uuid),
    Column("error_code", Text),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("cost_usd", Numeric(12, 6)),
    _moment("started_at"),
    _moment("ended_at", nullable=True),
    ForeignKeyConstraint(["user_id", "conversation_id"], ["conversations.user_id", "conversations.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["user_id", "user_message_id"], ["messages.user_id", "messages.id"], ondelete="CASCADE"),
    # Deferred: the turn is claimed before its answer is stored.
    ForeignKeyConstraint(["user_id", "message_id"], ["messages.user_id", "messages.id"], deferrable=True, initially="DEFERRED"),
    Index("turns_conversation", "user_id", "conversation_id"),
)
