"""Scheduled prompts, their runs, and the time of the next one."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy import text as sql

from parley.db.tables.columns import counter, metadata, owner, required_timestamp, timestamp

scheduled_prompts = Table(
    "scheduled_prompts",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("prompt", Text, nullable=False),
    Column("cron", Text),
    Column("every_minutes", Integer),
    Column("time_zone", Text, nullable=False, server_default="UTC"),
    Column("model", Text),
    Column("tools", Boolean, nullable=False, server_default="false"),
    Column("documents", Boolean, nullable=False, server_default="false"),
    Column("email", Boolean, nullable=False, server_default="false"),
    timestamp("next_at", nullable=True),
    counter("failures"),
    timestamp("paused_at", nullable=True),
    timestamp("created_at"),
)
Index("scheduled_prompts_due", scheduled_prompts.c.next_at, postgresql_where=sql("paused_at IS NULL"))

schedule_runs = Table(
    "schedule_runs",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("schedule_id", Uuid, nullable=False),
    required_timestamp("due_at"),
    Column(
        "status",
        Text,
        CheckConstraint("status IN ('queued', 'running', 'completed', 'waiting', 'failed')", name="schedule_runs_status_check"),
        nullable=False,
        server_default="queued",
    ),
    counter("attempts"),
    timestamp("leased_until", nullable=True),
    Column("conversation_id", Uuid),
    Column("turn_id", Uuid),
    Column("error_code", Text),
    timestamp("sent_at"),
    timestamp("created_at"),
    timestamp("finished_at", nullable=True),
    ForeignKeyConstraint(["user_id", "schedule_id"], ["scheduled_prompts.user_id", "scheduled_prompts.id"], ondelete="CASCADE"),
    UniqueConstraint("user_id", "schedule_id", "due_at", name="schedule_runs_once"),
    Index("schedule_runs_age", "created_at"),
)
Index("schedule_runs_open", schedule_runs.c.sent_at, postgresql_where=sql("status IN ('queued', 'running')"))

schedule_alarm = Table(
    "schedule_alarm",
    metadata,
    Column("id", BigInteger, CheckConstraint("id = 1", name="schedule_alarm_id_check"), primary_key=True, autoincrement=False),
    timestamp("rings_at", nullable=True),
)
