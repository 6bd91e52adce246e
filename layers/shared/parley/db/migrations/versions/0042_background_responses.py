"""Responses that run in the background, and the pieces of their answers while they run.

`heartbeat_at` is null once a response has ended. Pieces are the answer as it arrived, so that its stream can be sent again.
"""

from alembic import op

revision, down_revision = "0042", "0041"

TABLES = """
ALTER TABLE responses ADD COLUMN heartbeat_at timestamptz;
GRANT UPDATE (document, heartbeat_at) ON responses TO parley_app;

CREATE TABLE response_pieces (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    response_id uuid NOT NULL,
    number integer NOT NULL,
    pieces jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, response_id, number),
    FOREIGN KEY (user_id, response_id) REFERENCES responses (user_id, id) ON DELETE CASCADE
);
CREATE INDEX response_pieces_age ON response_pieces (at);
ALTER TABLE response_pieces ENABLE ROW LEVEL SECURITY;
ALTER TABLE response_pieces FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON response_pieces TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON response_pieces TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
GRANT SELECT, INSERT, DELETE ON response_pieces TO parley_app;
GRANT SELECT (user_id, at), DELETE ON response_pieces TO parley_background;
CREATE POLICY background_sweeps ON response_pieces TO parley_background USING (true);
"""


def upgrade() -> None:
    """Add the column, and create the table with its policies."""
    op.execute(TABLES)
