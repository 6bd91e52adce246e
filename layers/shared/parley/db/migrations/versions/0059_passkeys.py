"""Passkeys of users, and the challenges of ceremonies in progress.

A challenge is stored as the hash of its purpose, its account and its random bytes, so a row belongs to no user.
"""

from alembic import op

revision, down_revision = "0059", "0058"

TABLES = """
CREATE TABLE passkeys (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    credential_id bytea NOT NULL,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL DEFAULT 0,
    transports text[] NOT NULL DEFAULT '{}',
    name text NOT NULL,
    is_backed_up boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    PRIMARY KEY (user_id, id),
    UNIQUE (user_id, credential_id)
);

CREATE TABLE passkey_challenges (
    hash bytea PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
"""

RIGHTS = """
CREATE POLICY app_own_rows ON passkeys TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON passkeys TO parley_app;

GRANT SELECT, INSERT, DELETE ON passkey_challenges TO parley_background;
CREATE POLICY background_signs_in ON passkey_challenges TO parley_background USING (true) WITH CHECK (true);
"""


def upgrade() -> None:
    """Create the tables with their policies."""
    op.execute(TABLES)
    for table in ("passkeys", "passkey_challenges"):
        op.execute(
            f"""
            ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
            ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
            CREATE POLICY owner_migrates ON {table} TO parley_owner USING (true) WITH CHECK (true);
            """
        )
    op.execute(RIGHTS)
