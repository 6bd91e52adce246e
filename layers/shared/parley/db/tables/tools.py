"""Users' tool settings, and remote MCP servers."""

from sqlalchemy import Boolean, Column, LargeBinary, Table, Text, UniqueConstraint, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from parley.db.tables.columns import metadata, owner, timestamp

tool_settings = Table(
    "tool_settings",
    metadata,
    owner(),
    Column("name", Text, primary_key=True),
    Column("is_enabled", Boolean),
    Column("requires_approval", Boolean),
)

mcp_servers = Table(
    "mcp_servers",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("headers", LargeBinary),
    Column("tools", JSONB, nullable=False, server_default="[]"),
    timestamp("listed_at", nullable=True),
    Column("error", Text),
    timestamp("created_at"),
    UniqueConstraint("user_id", "name", name="mcp_servers_name"),
)

mcp_listings = Table(
    "mcp_listings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("tools", JSONB, nullable=False, server_default="[]"),
    timestamp("listed_at", nullable=True),
    Column("error", Text),
)
