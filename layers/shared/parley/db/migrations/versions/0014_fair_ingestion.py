"""A fair share of the ingestion workers for each user, and a count of the failed attempts to ingest a document.

`has_worker` distinguishes a document that a worker is processing from a paused document, whose lease only delays the next
attempt. `is_waiting` marks a document that waits because the user's share is taken: the next worker that finishes a document of
this user queues it.
"""

from alembic import op

revision, down_revision = "0014", "0013"

COLUMNS = """
ALTER TABLE documents
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN has_worker boolean NOT NULL DEFAULT false,
    ADD COLUMN is_waiting boolean NOT NULL DEFAULT false;
CREATE INDEX documents_with_worker ON documents (user_id) WHERE has_worker;
CREATE INDEX documents_waiting ON documents (user_id, status, id) WHERE is_waiting;
"""

RIGHTS = "GRANT SELECT (is_waiting) ON documents TO parley_background;"


def upgrade() -> None:
    """Add the columns, the indexes and the right."""
    op.execute(COLUMNS)
    op.execute(RIGHTS)
