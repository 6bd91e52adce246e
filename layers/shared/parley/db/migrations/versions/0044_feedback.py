"""Users' ratings of answers, for the operator."""

from alembic import op

revision, down_revision = "0044", "0043"

TABLE = """
CREATE TABLE feedback (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    message_id uuid NOT NULL,
    rating text NOT NULL CONSTRAINT feedback_rating_check CHECK (rating IN ('good', 'bad')),
    reason text,
    model text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, message_id),
    FOREIGN KEY (user_id, message_id) REFERENCES messages (user_id, id) ON DELETE CASCADE
);
CREATE INDEX feedback_newest ON feedback (created_at, message_id);
ALTER TABLE feedback ENABLE ROW LEVEL SECURITY;
ALTER TABLE feedback FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON feedback TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON feedback TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON feedback TO parley_app;
GRANT SELECT ON feedback TO parley_background;
CREATE POLICY background_reads ON feedback FOR SELECT TO parley_background USING (true);
"""


def upgrade() -> None:
    """Create the table and its policies."""
    op.execute(TABLE)
