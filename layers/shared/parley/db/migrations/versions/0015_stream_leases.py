"""Leases that limit how many open streams and waiting requests a user has across all workers."""

from alembic import op

revision, down_revision = "0015", "0014"

TABLE = """
CREATE TABLE stream_leases (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('answer', 'follower', 'wait')),
    slot integer NOT NULL,
    id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, kind, slot)
);
ALTER TABLE stream_leases ENABLE ROW LEVEL SECURITY;
ALTER TABLE stream_leases FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON stream_leases TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON stream_leases TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON stream_leases TO parley_app;
"""


def upgrade() -> None:
    """Create the table and its policies."""
    op.execute(TABLE)
