"""Calls that describe pieces of documents, and those of a reranker, stand in the ledger as what they are."""

from alembic import op

revision, down_revision = "0013", "0012"

PURPOSES = """
ALTER TABLE usage DROP CONSTRAINT usage_purpose_check,
    ADD CONSTRAINT usage_purpose_check
    CHECK (purpose IN ('chat', 'summary', 'title', 'facts', 'describe', 'embedding', 'rerank'));
"""


def upgrade() -> None:
    """Let the purposes be named."""
    op.execute(PURPOSES)
