"""Responses of the Responses API that a later request may continue."""

from sqlalchemy import Column, Index, Table, Uuid
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
    Index("responses_age", "created_at"),
)
