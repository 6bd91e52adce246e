"""Users, credentials, sessions, API keys, one-time codes and the audit log."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from parley.db.tables.columns import metadata, owner, required_timestamp, timestamp

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("display_name", Text),
    Column("role", Text, CheckConstraint("role IN ('user', 'admin')", name="users_role_check"), nullable=False, server_default="user"),
    Column("memory_enabled", Boolean, nullable=False, server_default="true"),
    Column("default_model", Text),
    timestamp("created_at"),
    timestamp("disabled_at", nullable=True),
    Column("monthly_budget_usd", Numeric(12, 6), CheckConstraint("monthly_budget_usd >= 0", name="users_budget_check")),
    Column("retention_days", Integer, CheckConstraint("retention_days >= 0", name="users_retention_check")),
)

credentials = Table(
    "credentials",
    metadata,
    owner(),
    Column("password_hash", Text, nullable=False),
    timestamp("updated_at"),
    Column("verified_email", Text),
)

sessions = Table(
    "sessions",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    timestamp("created_at"),
    timestamp("last_used_at"),
    required_timestamp("expires_at"),
    timestamp("ended_at", nullable=True),
    Column("address", Text),
    Column("user_agent", Text),
    Column("client_id", Text),
    Column("client_name", Text),
    Column("scopes", ARRAY(Text)),
    Column("has_second_factor", Boolean, nullable=False, server_default="false"),
    Column("oidc_issuer", Text),
    Column("oidc_session", Text),
    Index("sessions_oidc", "oidc_session", postgresql_where=text("oidc_session IS NOT NULL")),
)

authorization_codes = Table(
    "authorization_codes",
    metadata,
    owner(),
    Column("hash", LargeBinary, primary_key=True),
    Column("session_id", Uuid, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("code_challenge", Text, nullable=False),
    Column("resource", Text, nullable=False),
    timestamp("created_at"),
    required_timestamp("expires_at"),
    timestamp("used_at", nullable=True),
    ForeignKeyConstraint(["user_id", "session_id"], ["sessions.user_id", "sessions.id"], ondelete="CASCADE"),
    Index("authorization_codes_session", "user_id", "session_id"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    owner(),
    Column("hash", LargeBinary, primary_key=True),
    Column("session_id", Uuid, nullable=False),
    Column("parent_hash", LargeBinary),
    timestamp("created_at"),
    timestamp("used_at", nullable=True),
    ForeignKeyConstraint(["user_id", "session_id"], ["sessions.user_id", "sessions.id"], ondelete="CASCADE"),
    Index("refresh_tokens_session", "user_id", "session_id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    timestamp("created_at"),
    required_timestamp("expires_at"),
    timestamp("last_used_at", nullable=True),
    timestamp("revoked_at", nullable=True),
    Column("rate_per_minute", Integer, CheckConstraint("rate_per_minute > 0", name="api_keys_rate_check")),
    Column("monthly_budget_usd", Numeric(12, 6), CheckConstraint("monthly_budget_usd >= 0", name="api_keys_budget_check")),
)

one_time_codes = Table(
    "one_time_codes",
    metadata,
    owner(),
    Column("hash", LargeBinary, primary_key=True),
    Column(
        "purpose",
        Text,
        CheckConstraint("purpose IN ('reset_password', 'change_email')", name="one_time_codes_purpose_check"),
        nullable=False,
    ),
    Column("new_email", Text),
    timestamp("created_at"),
    required_timestamp("expires_at"),
    timestamp("used_at", nullable=True),
)

second_factors = Table(
    "second_factors",
    metadata,
    owner(),
    Column("secret", LargeBinary, nullable=False),
    timestamp("created_at"),
    timestamp("confirmed_at", nullable=True),
    Column("last_step", BigInteger, nullable=False, server_default="0"),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    owner(),
    Column("hash", LargeBinary, primary_key=True),
)

passkeys = Table(
    "passkeys",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("credential_id", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False, server_default="0"),
    Column("transports", ARRAY(Text), nullable=False, server_default="{}"),
    Column("name", Text, nullable=False),
    Column("is_backed_up", Boolean, nullable=False, server_default="false"),
    timestamp("created_at"),
    timestamp("last_used_at", nullable=True),
    UniqueConstraint("user_id", "credential_id"),
)

oidc_identities = Table(
    "oidc_identities",
    metadata,
    owner(),
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    timestamp("created_at"),
    Index("oidc_identities_subject", "issuer", "subject"),
)

audit_events = Table(
    "audit_events",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    timestamp("at"),
    Column("event", Text, nullable=False),
    Column("address", Text),
    Column("user_agent", Text),
    Column("detail", JSONB, nullable=False, server_default="{}"),
)
