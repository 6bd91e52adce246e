"""Accounts as an identity provider knows them, and the tokens by which it is admitted (SCIM)."""

from sqlalchemy import Column, Index, LargeBinary, Table, Text, Uuid, text

from parley.db.tables.columns import metadata, owner, timestamp

scim_users = Table(
    "scim_users",
    metadata,
    owner(),
    Column("user_name", Text, nullable=False),
    Column("external_id", Text),
    Column("given_name", Text),
    Column("family_name", Text),
    timestamp("updated_at"),
    timestamp("removed_at", nullable=True),
    Index("scim_users_name", text("lower(user_name)")),
    Index("scim_users_external", "external_id"),
)

scim_tokens = Table(
    "scim_tokens",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    timestamp("created_at"),
    timestamp("expires_at", nullable=True),
    timestamp("last_used_at", nullable=True),
)
