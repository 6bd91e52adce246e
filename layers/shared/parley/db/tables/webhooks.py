"""Web hooks, and the log of their deliveries."""

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB

from parley.db.tables.columns import counter, metadata, owner, timestamp

webhooks = Table(
    "webhooks",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("previous_secret", LargeBinary),
    timestamp("rotated_at", nullable=True),
    counter("failures"),
    timestamp("disabled_at", nullable=True),
    timestamp("created_at"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("webhook_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    Column(
        "status",
        Text,
        CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="webhook_deliveries_status_check"),
        nullable=False,
        server_default="pending",
    ),
    counter("attempts"),
    timestamp("due_at"),
    Column("response_status", Integer),
    Column("error", Text),
    timestamp("created_at"),
    ForeignKeyConstraint(["user_id", "webhook_id"], ["webhooks.user_id", "webhooks.id"], ondelete="CASCADE"),
    UniqueConstraint("user_id", "webhook_id", "key", name="webhook_deliveries_key"),
    Index("webhook_deliveries_age", "created_at"),
)
Index("webhook_deliveries_due", webhook_deliveries.c.due_at, postgresql_where=sql("status = 'pending'"))
