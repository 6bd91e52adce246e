"""Turns, their event logs and their approvals."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from parley.db.tables.columns import metadata, owner, required_timestamp, timestamp

_TURN_STATUSES = "status IN ('running', 'waiting', 'completed', 'stopped', 'interrupted', 'failed')"
turns = Table(
    "turns",
    metadata,
    owner(),
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
    timestamp("started_at"),
    timestamp("ended_at", nullable=True),
    Column("route", Text),
    Column("idempotency_key", Text),
    Column("fingerprint", LargeBinary),
    timestamp("heartbeat_at"),
    timestamp("stop_requested_at", nullable=True),
    Column("last_event", Integer, nullable=False, server_default="0"),
    Column("finish_reason", Text),
    Column("first_token_ms", Double),
    Column("total_ms", Double),
    Column("held", JSONB),
    timestamp("waiting_since", nullable=True),
    Column("steering", JSONB, nullable=False, server_default="[]"),
    ForeignKeyConstraint(["user_id", "conversation_id"], ["conversations.user_id", "conversations.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["user_id", "user_message_id"], ["messages.user_id", "messages.id"], ondelete="CASCADE"),
    # Deferred: the statement that ends a turn sets `message_id` before it inserts the answer.
    ForeignKeyConstraint(["user_id", "message_id"], ["messages.user_id", "messages.id"], deferrable=True, initially="DEFERRED"),
    Index("turns_conversation", "user_id", "conversation_id"),
)
_is_running = turns.c.status == text("'running'")
_is_waiting = turns.c.status == text("'waiting'")
_is_open = text("status IN ('running', 'waiting')")
_has_key = turns.c.idempotency_key.is_not(None)
_of_key = (turns.c.user_id, turns.c.route, turns.c.idempotency_key)
Index("turns_idempotency", *_of_key, unique=True, postgresql_where=_has_key)
Index("turns_running", turns.c.user_id, turns.c.conversation_id, unique=True, postgresql_where=_is_open)
Index("turns_heartbeat", turns.c.heartbeat_at, postgresql_where=_is_running)
Index("turns_answer", turns.c.user_id, turns.c.message_id, postgresql_where=turns.c.message_id.is_not(None))
Index("turns_waiting", turns.c.waiting_since, postgresql_where=_is_waiting)
Index("turns_keys_age", turns.c.started_at, postgresql_where=_has_key)

turn_events = Table(
    "turn_events",
    metadata,
    owner(),
    Column("turn_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    timestamp("at"),
    ForeignKeyConstraint(["user_id", "turn_id"], ["turns.user_id", "turns.id"], ondelete="CASCADE"),
    Index("turn_events_age", "at"),
)

approvals = Table(
    "approvals",
    metadata,
    owner(),
    Column("turn_id", Uuid, primary_key=True),
    Column("call_id", Text, primary_key=True),
    Column("asked_by", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("arguments", JSONB, nullable=False),
    Column("is_approved", Boolean),
    timestamp("asked_at"),
    timestamp("decided_at", nullable=True),
    Column("question", JSONB),
    Column("answers", JSONB),
    ForeignKeyConstraint(["user_id", "turn_id"], ["turns.user_id", "turns.id"], ondelete="CASCADE"),
)

stream_leases = Table(
    "stream_leases",
    metadata,
    owner(),
    Column("kind", Text, CheckConstraint("kind IN ('answer', 'follower', 'wait')", name="stream_leases_kind_check"), primary_key=True),
    Column("slot", Integer, primary_key=True),
    Column("id", Uuid, nullable=False),
    required_timestamp("expires_at"),
)
