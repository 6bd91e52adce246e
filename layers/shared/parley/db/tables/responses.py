"""Responses of the Responses API that a later request may continue, the pieces of those that run, and clients' conversations."""

from sqlalchemy import Column, ForeignKeyConstraint, Index, Integer, Table, Text, UniqueConstraint, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from parley.db.tables.columns import metadata, owner, timestamp

responses = Table(
    "responses",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("previous_id", Uuid),
    Column("input", JSONB, nullable=False),
    Column("document", JSONB, nullable=False),
    timestamp("created_at"),
    timestamp("heartbeat_at", nullable=True),
    Index("responses_age", "created_at"),
)

response_pieces = Table(
    "response_pieces",
    metadata,
    owner(),
    Column("response_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("pieces", JSONB, nullable=False),
    timestamp("at"),
    ForeignKeyConstraint(["user_id", "response_id"], ["responses.user_id", "responses.id"], ondelete="CASCADE"),
    Index("response_pieces_age", "at"),
)

client_conversations = Table(
    "client_conversations",
    metadata,
    owner(),
    Column("id", Uuid, primary_key=True),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    timestamp("created_at"),
    timestamp("used_at"),
    Index("client_conversations_use", "used_at"),
)

client_items = Table(
    "client_items",
    metadata,
    owner(),
    Column("conversation_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("id", Text, nullable=False),
    Column("item", JSONB, nullable=False),
    ForeignKeyConstraint(["user_id", "conversation_id"], ["client_conversations.user_id", "client_conversations.id"], ondelete="CASCADE"),
    UniqueConstraint("user_id", "conversation_id", "id"),
)
