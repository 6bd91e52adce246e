"""Usage, budgets, rate limits, and the circuit breakers of the providers."""

from sqlalchemy import Boolean, CheckConstraint, Column, Date, Index, Integer, Numeric, Table, Text, Uuid

from parley.db.tables.columns import counter, metadata, owner, required_timestamp, timestamp, usd

_PURPOSES = "purpose IN ('chat', 'summary', 'title', 'facts', 'describe', 'embedding', 'rerank')"
_CALL_STATUSES = "status IN ('completed', 'stopped', 'interrupted', 'failed')"
usage = Table(
    "usage",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("turn_id", Uuid),
    Column("api_key_id", Uuid),
    Column("purpose", Text, CheckConstraint(_PURPOSES, name="usage_purpose_check"), nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    counter("input_tokens"),
    counter("output_tokens"),
    counter("cached_input_tokens"),
    usd("cost_usd"),
    Column("is_estimate", Boolean, nullable=False, server_default="false"),
    Column("status", Text, CheckConstraint(_CALL_STATUSES, name="usage_status_check"), nullable=False),
    timestamp("at"),
    Index("usage_time", "user_id", "at"),
)

budgets = Table(
    "budgets",
    metadata,
    owner(),
    Column("subject_id", Uuid, primary_key=True),
    Column("month", Date, primary_key=True),
    usd("reserved_usd"),
    usd("spent_usd"),
)

budget_reservations = Table(
    "budget_reservations",
    metadata,
    owner(),
    Column("subject_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("month", Date, nullable=False),
    Column("amount_usd", Numeric(18, 12), nullable=False),
    required_timestamp("expires_at"),
    Column("turn_id", Uuid),
    Column("model", Text),
    Column("provider", Text),
    counter("input_tokens"),
    usd("input_usd_per_mtok"),
    usd("output_usd_per_mtok"),
    Index("budget_reservations_age", "expires_at"),
)

_of_turn = (budget_reservations.c.user_id, budget_reservations.c.turn_id)
Index("budget_reservations_turn", *_of_turn, postgresql_where=budget_reservations.c.turn_id.is_not(None))

rate_limits = Table(
    "rate_limits",
    metadata,
    owner(),
    Column("subject_id", Uuid, primary_key=True),
    required_timestamp("free_at"),
)

_STATES = "state IN ('closed', 'open', 'half_open')"
breakers = Table(
    "breakers",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("state", Text, CheckConstraint(_STATES, name="breakers_state_check"), nullable=False, server_default="closed"),
    counter("calls"),
    counter("failures"),
    counter("in_a_row"),
    timestamp("window_at", nullable=True),
    timestamp("opened_at", nullable=True),
    timestamp("probe_at", nullable=True),
    Column("failed_by", Integer),
)
