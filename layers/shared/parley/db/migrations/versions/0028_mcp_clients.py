"""Sessions of MCP clients, and the authorization codes that start them (RFC 6749, 4.1).

A session of a client names it and has the scopes that its user granted; a user's own sessions have neither.
"""

from alembic import op

revision, down_revision = "0028", "0027"

TABLES = """
ALTER TABLE sessions
    ADD COLUMN client_id text,
    ADD COLUMN client_name text,
    ADD COLUMN scopes text[];

CREATE TABLE authorization_codes (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash bytea NOT NULL,
    session_id uuid NOT NULL,
    redirect_uri text NOT NULL,
    code_challenge text NOT NULL,
    resource text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, hash),
    FOREIGN KEY (user_id, session_id) REFERENCES sessions (user_id, id) ON DELETE CASCADE
);
CREATE INDEX authorization_codes_session ON authorization_codes (user_id, session_id);
ALTER TABLE authorization_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE authorization_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON authorization_codes TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON authorization_codes TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON authorization_codes TO parley_app;
"""


def upgrade() -> None:
    """Add the columns, and create the table with its policies."""
    op.execute(TABLES)
