"""Imports of conversations from exports of other programs, and of Parley's own.

An import's row holds its progress and its report. The imported conversations carry no mark: their ids are derived from the source's.
"""

from alembic import op

revision, down_revision = "0039", "0037"

TABLE = """
CREATE TABLE imports (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    filename text NOT NULL,
    bytes bigint NOT NULL,
    reads_facts boolean NOT NULL DEFAULT false,
    status text NOT NULL DEFAULT 'queued',
    source text,
    progress real NOT NULL DEFAULT 0,
    position integer NOT NULL DEFAULT 0,
    conversations_added integer NOT NULL DEFAULT 0,
    conversations_extended integer NOT NULL DEFAULT 0,
    conversations_unchanged integer NOT NULL DEFAULT 0,
    messages_added integer NOT NULL DEFAULT 0,
    left_out jsonb NOT NULL DEFAULT '{}',
    error_code text,
    error text,
    failures integer NOT NULL DEFAULT 0,
    leased_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (user_id, id),
    CONSTRAINT imports_status_check CHECK (status IN ('queued', 'processing', 'ready', 'failed'))
);
CREATE UNIQUE INDEX imports_open ON imports (user_id) WHERE status IN ('queued', 'processing');
CREATE INDEX imports_age ON imports (created_at);
ALTER TABLE imports ENABLE ROW LEVEL SECURITY;
ALTER TABLE imports FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON imports TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON imports TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON imports TO parley_app;
GRANT SELECT (user_id, id, status, leased_until, created_at), DELETE ON imports TO parley_background;
CREATE POLICY background_sweeps ON imports TO parley_background USING (true);
"""


def upgrade() -> None:
    """Create the table and its policies."""
    op.execute(TABLE)
