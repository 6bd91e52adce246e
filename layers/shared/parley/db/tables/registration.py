"""Sign-ups, invites, logins in progress and the login throttle: tables that belong to no user."""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, Uuid

from parley.db.tables.columns import metadata, required_timestamp, timestamp

signups = Table(
    "signups",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("display_name", Text),
    Column("password_hash", Text, nullable=False),
    Column("code_hash", LargeBinary),
    Column("invite_id", Uuid),
    timestamp("created_at"),
    required_timestamp("expires_at"),
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
    timestamp("created_at"),
    required_timestamp("expires_at"),
)

guesses = Table(
    "guesses",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    required_timestamp("free_at"),
    Column("in_a_row", Integer, nullable=False, server_default="1"),
    Index("guesses_age", "free_at"),
)

oidc_logins = Table(
    "oidc_logins",
    metadata,
    Column("state_hash", LargeBinary, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("code_verifier", Text, nullable=False),
    Column("browser_hash", LargeBinary, nullable=False),
    Column("redirect_uri", Text),
    Column("code_challenge", Text),
    timestamp("created_at"),
    required_timestamp("expires_at"),
    Index("oidc_logins_age", "expires_at"),
)

oidc_logout_tokens = Table(
    "oidc_logout_tokens",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    required_timestamp("expires_at"),
)

passkey_challenges = Table(
    "passkey_challenges",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    required_timestamp("expires_at"),
)
