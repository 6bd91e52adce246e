"""Who may make an account, and how often may be guessed. None of these belongs to a user."""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, Uuid

from parley.db.tables.columns import end, metadata, moment

signups = Table(
    "signups",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("display_name", Text),
    Column("password_hash", Text, nullable=False),
    Column("code_hash", LargeBinary),
    Column("invite_id", Uuid),
    moment("created_at"),
    end("expires_at"),
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
    moment("created_at"),
    end("expires_at"),
)

guesses = Table(
    "guesses",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    end("free_at"),
    Column("in_a_row", Integer, nullable=False, server_default="1"),
    Index("guesses_age", "free_at"),
)
