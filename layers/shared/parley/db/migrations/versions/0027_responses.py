"""Responses of OpenAI's Responses API, which a later request may continue.

A response holds the items of its own request and its document; `previous_id` names the response that it continues. There is no
foreign key, because a user may delete a response that others continue.
"""

from alembic import op

revision, down_revision = "0027", "0026"

TABLE = """
CREATE TABLE responses (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    previous_id uuid,
    input jsonb NOT NULL,
    document jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id)
);
CREATE INDEX responses_age ON responses (created_at);
ALTER TABLE responses ENABLE ROW LEVEL SECURITY;
ALTER TABLE responses FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON responses TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON responses TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
GRANT SELECT, INSERT, DELETE ON responses TO parley_app;
GRANT SELECT (user_id, created_at), DELETE ON responses TO parley_background;
CREATE POLICY background_sweeps ON responses TO parley_background USING (true);
"""


def upgrade() -> None:
    """Create the table and its policies."""
    op.execute(TABLE)
