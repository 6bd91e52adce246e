"""What a model says of a chunk's place in its document: searched with the chunk, and shown to nobody.

PostgreSQL 16 cannot change what a column is computed from, so `words` is made anew, with its index.
"""

from alembic import op

revision, down_revision = "0014", "0013"

CHUNKS = """
ALTER TABLE chunks ADD COLUMN description text, DROP COLUMN words;
ALTER TABLE chunks ADD COLUMN words tsvector
    GENERATED ALWAYS AS (parley_words(coalesce(description || ' ', '') || heading || ' ' || text)) STORED;
ALTER TABLE chunks ALTER COLUMN words SET STORAGE MAIN;
CREATE INDEX chunks_words ON chunks USING gin (parley_keys(shelf, words)) WITH (fastupdate = off);
"""
PURPOSES = """
ALTER TABLE usage DROP CONSTRAINT usage_purpose_check,
    ADD CONSTRAINT usage_purpose_check CHECK (purpose IN ('chat', 'summary', 'title', 'facts', 'describe', 'embedding', 'rerank'));
"""


def upgrade() -> None:
    """Make it all."""
    op.execute(CHUNKS)
    op.execute(PURPOSES)
