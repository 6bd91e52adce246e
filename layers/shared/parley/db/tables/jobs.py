"""Background jobs (exports, imports, the outbox) and the responses stored for an `Idempotency-Key`."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB, REAL

from parley.db.tables.columns import counter, metadata, owner, timestamp

exports = Table(
    "exports",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column(
        "status",
        Text,
        CheckConstraint("status IN ('queued', 'ready', 'failed')", name="exports_status_check"),
        nullable=False,
        server_default="queued",
    ),
    Column("file_key", Text),
    timestamp("created_at"),
    timestamp("ready_at", nullable=True),
    Column(
        "kind", Text, CheckConstraint("kind IN ('account', 'audit')", name="exports_kind_check"), nullable=False, server_default="account"
    ),
)

imports = Table(
    "imports",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("filename", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("reads_facts", Boolean, nullable=False, server_default="false"),
    Column(
        "status",
        Text,
        CheckConstraint("status IN ('queued', 'processing', 'ready', 'failed')", name="imports_status_check"),
        nullable=False,
        server_default="queued",
    ),
    Column("source", Text),
    Column("progress", REAL, nullable=False, server_default="0"),
    counter("position"),
    counter("conversations_added"),
    counter("conversations_extended"),
    counter("conversations_unchanged"),
    counter("messages_added"),
    Column("left_out", JSONB, nullable=False, server_default="{}"),
    Column("error_code", Text),
    Column("error", Text),
    counter("failures"),
    timestamp("leased_until", nullable=True),
    timestamp("created_at"),
    timestamp("finished_at", nullable=True),
    Index("imports_age", "created_at"),
)
_is_open = text("status IN ('queued', 'processing')")
Index("imports_open", imports.c.user_id, unique=True, postgresql_where=_is_open)

outbox = Table(
    "outbox",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("subject_id", Uuid),
    timestamp("created_at"),
    timestamp("due_at"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    counter("generation"),
    counter("tries"),
    timestamp("claimed_until", nullable=True),
    Index("outbox_due", "due_at"),
)
_is_follow_up = text("topic IN ('title', 'remember')")
Index("outbox_follow_up", outbox.c.user_id, outbox.c.topic, outbox.c.subject_id, unique=True, postgresql_where=_is_follow_up)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    owner(),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("answer", JSONB),
    timestamp("created_at"),
    timestamp("running_until", nullable=True),
    Index("idempotency_keys_age", "created_at"),
)
