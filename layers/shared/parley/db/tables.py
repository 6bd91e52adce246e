"""The tables, as the newest migration leaves them (a test holds the two together).

Every tenant table's primary key starts with `user_id`, and foreign keys carry it, so that the same schema distributes
by user. `users`, `signups`, `invites`, `guesses` and `breakers` are global. See docs/adr/0002-shardable-by-user.md.
"""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
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
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()


def _moment(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=None if nullable else func.now())


def _end(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False)


def _usd(name: str) -> Column[object]:
    # A token may cost less than a millionth of a cent; nothing is rounded away.
    return Column(name, Numeric(18, 12), nullable=False, server_default="0")


def _count(name: str) -> Column[object]:
    return Column(name, Integer, nullable=False, server_default="0")


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
    _moment("disabled_at", nullable=True),
    Column("monthly_budget_usd", Numeric(12, 6), CheckConstraint("monthly_budget_usd >= 0", name="users_budget_check")),
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
    _end("expires_at"),
    _moment("ended_at", nullable=True),
    Column("address", Text),
    Column("user_agent", Text),
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

api_keys = Table(
    "api_keys",
    metadata,
    _owner(),
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    _moment("created_at"),
    _end("expires_at"),
    _moment("last_used_at", nullable=True),
    _moment("revoked_at", nullable=True),
    Column("rate_per_minute", Integer, CheckConstraint("rate_per_minute > 0", name="api_keys_rate_check")),
    Column("monthly_budget_usd", Numeric(12, 6), CheckConstraint("monthly_budget_usd >= 0", name="api_keys_budget_check")),
)

one_time_codes = Table(
    "one_time_codes",
    metadata,
    _owner(),
    Column("hash", LargeBinary, primary_key=True),
    Column(
        "purpose",
        Text,
        CheckConstraint("purpose IN ('reset_password', 'change_email')", name="one_time_codes_purpose_check"),
        nullable=False,
    ),
    Column("new_email", Text),
    _moment("created_at"),
    _end("expires_at"),
    _moment("used_at", nullable=True),
)

audit_events = Table(
    "audit_events",
    metadata,
    _owner(),
    Column("id", Uuid, primary_key=True),
    _moment("at"),
    Column("event", Text, nullable=False),
    Column("address", Text),
    Column("user_agent", Text),
    Column("detail", JSONB, nullable=False, server_default="{}"),
)

exports = Table(
    "exports",
    metadata,
    _owner(),
    Column("id", Uuid, primary_key=True),
    Column(
        "status",
        Text,
        CheckConstraint("status IN ('queued', 'ready', 'failed')", name="exports_status_check"),
        nullable=False,
        server_default="queued",
    ),
    Column("file_key", Text),
    _moment("created_at"),
    _moment("ready_at", nullable=True),
)

outbox = Table(
    "outbox",
    metadata,
    _owner(),
    Column("id", Uuid, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("subject_id", Uuid),
    _moment("created_at"),
    _moment("due_at"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Index("outbox_due", "due_at"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    _owner(),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("answer", JSONB),
    _moment("created_at"),
    Index("idempotency_keys_age", "created_at"),
)

signups = Table(
    "signups",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("display_name", Text),
    Column("password_hash", Text, nullable=False),
    Column("code_hash", LargeBinary),
    Column("invite_id", Uuid),
    _moment("created_at"),
    _end("expires_at"),
    Index("signups_email", "email"),
    Index("signups_age", "expires_at"),
)

invites = Table(
    "invites",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("email", Text),
    Column("created_by", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    _moment("created_at"),
    _end("expires_at"),
)

guesses = Table(
    "guesses",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    _end("free_at"),
    Column("in_a_row", Integer, nullable=False, server_default="1"),
    Index("guesses_age", "free_at"),
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

_TURN_STATUSES = "status IN ('running', 'waiting', 'completed', 'stopped', 'interrupted', 'failed')"
turns = Table(
    "turns",
    metadata,
    _owner(),
    Column("id", Uuid, primary_key=True),
    Column("conversation_id", Uuid, nullable=False),
    Column("status", Text, CheckConstraint(_TURN_STATUSES, name="turns_status_check"), nullable=False, server_default="running"),
    Column("model", Text, nullable=False),
    Column("user_message_id", Uuid, nullable=False),
    Column("message_id", Uuid),
    Column("error_code", Text),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("cost_usd", Numeric(12, 6)),
    _moment("started_at"),
    _moment("ended_at", nullable=True),
    Column("route", Text),
    Column("idempotency_key", Text),
    Column("fingerprint", LargeBinary),
    _moment("heartbeat_at"),
    _moment("stop_requested_at", nullable=True),
    Column("last_event", Integer, nullable=False, server_default="0"),
    Column("finish_reason", Text),
    Column("first_token_ms", Double),
    Column("total_ms", Double),
    ForeignKeyConstraint(["user_id", "conversation_id"], ["conversations.user_id", "conversations.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["user_id", "user_message_id"], ["messages.user_id", "messages.id"], ondelete="CASCADE"),
    # Deferred: the turn is claimed before its answer is stored.
    ForeignKeyConstraint(["user_id", "message_id"], ["messages.user_id", "messages.id"], deferrable=True, initially="DEFERRED"),
    Index("turns_conversation", "user_id", "conversation_id"),
)
_is_running, _has_key = turns.c.status == text("'running'"), turns.c.idempotency_key.is_not(None)
_of_key = (turns.c.user_id, turns.c.route, turns.c.idempotency_key)
Index("turns_idempotency", *_of_key, unique=True, postgresql_where=_has_key)
Index("turns_running", turns.c.user_id, turns.c.conversation_id, unique=True, postgresql_where=_is_running)
Index("turns_heartbeat", turns.c.heartbeat_at, postgresql_where=_is_running)
Index("turns_keys_age", turns.c.started_at, postgresql_where=_has_key)

turn_events = Table(
    "turn_events",
    metadata,
    _owner(),
    Column("turn_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    _moment("at"),
    ForeignKeyConstraint(["user_id", "turn_id"], ["turns.user_id", "turns.id"], ondelete="CASCADE"),
    Index("turn_events_age", "at"),
)

_PURPOSES = "purpose IN ('chat', 'summary', 'title', 'facts', 'embedding')"
_CALL_STATUSES = "status IN ('completed', 'stopped', 'interrupted', 'failed')"
usage = Table(
    "usage",
    metadata,
    _owner(),
    Column("id", Uuid, primary_key=True),
    Column("turn_id", Uuid),
    Column("api_key_id", Uuid),
    Column("purpose", Text, CheckConstraint(_PURPOSES, name="usage_purpose_check"), nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    _count("input_tokens"),
    _count("output_tokens"),
    _count("cached_input_tokens"),
    _usd("cost_usd"),
    Column("is_estimate", Boolean, nullable=False, server_default="false"),
    Column("status", Text, CheckConstraint(_CALL_STATUSES, name="usage_status_check"), nullable=False),
    _moment("at"),
    Index("usage_time", "user_id", "at"),
)

budgets = Table(
    "budgets",
    metadata,
    _owner(),
    Column("subject_id", Uuid, primary_key=True),
    Column("month", Date, primary_key=True),
    _usd("reserved_usd"),
    _usd("spent_usd"),
)

budget_reservations = Table(
    "budget_reservations",
    metadata,
    _owner(),
    Column("subject_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("month", Date, nullable=False),
    Column("amount_usd", Numeric(18, 12), nullable=False),
    _end("expires_at"),
    Index("budget_reservations_age", "expires_at"),
)

rate_limits = Table(
    "rate_limits",
    metadata,
    _owner(),
    Column("subject_id", Uuid, primary_key=True),
    _end("free_at"),
)

_STATES = "state IN ('closed', 'open', 'half_open')"
breakers = Table(
    "breakers",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("state", Text, CheckConstraint(_STATES, name="breakers_state_check"), nullable=False, server_default="closed"),
    _count("calls"),
    _count("failures"),
    _count("in_a_row"),
    _moment("window_at", nullable=True),
    _moment("opened_at", nullable=True),
    _moment("probe_at", nullable=True),
)
