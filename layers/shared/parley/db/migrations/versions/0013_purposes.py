"""New purposes of model calls in `usage`: descriptions of document chunks, and reranking."""

from alembic import op

revision, down_revision = "0013", "0012"

PURPOSES = """
ALTER TABLE usage DROP CONSTRAINT usage_purpose_check,
    ADD CONSTRAINT usage_purpose_check
    CHECK (purpose IN ('chat', 'summary', 'title', 'facts', 'describe', 'embedding', 'rerank')) NOT VALID;
"""


def upgrade() -> None:
    """Allow the new purposes."""
    op.execute(PURPOSES)
    with op.get_context().autocommit_block():  # reads every row, while the table is written to
        op.execute("ALTER TABLE usage VALIDATE CONSTRAINT usage_purpose_check")
