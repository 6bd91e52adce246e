"""A fair share of the ingestion workers for each user, and a count of the failed attempts to ingest a document.

`has_worker` distinguishes a document that a worker is processing from a paused document, whose lease only delays the next
attempt. `is_waiting` marks a document that waits because the user's share is taken: the next worker that finishes a document of
this user queues it.
"""

from alembic import op

from parley.db.migrations.operations import backfill, create_index

revision, down_revision = "0014", "0013"

COLUMNS = """
ALTER TABLE documents
    ADD COLUMN IF NOT EXISTS failures integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS has_worker boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS is_waiting boolean NOT NULL DEFAULT false;
"""

RIGHTS = "GRANT SELECT (is_waiting) ON documents TO parley_background;"


def upgrade() -> None:
    """Add the columns, the indexes and the right."""
    op.execute(COLUMNS)
    op.execute(RIGHTS)
    # Workers of the previous release hold these leases, and count toward their user's share.
    backfill("documents", "has_worker = true", where="status = 'processing' AND leased_until > now() AND NOT has_worker")
    create_index("documents_with_worker", "documents (user_id) WHERE has_worker")
    create_index("documents_waiting", "documents (user_id, status, id) WHERE is_waiting")
