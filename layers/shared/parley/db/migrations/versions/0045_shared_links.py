"""Links to snapshots of conversations.

`parley_shared_link` finds a link by the hash of its token, whoever asks: who has the token may read the snapshot. It is the only way
past the rows' policies, and returns no user.
"""

from alembic import op

revision, down_revision = "0045", "0044"

TABLE = """
CREATE TABLE shared_links (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    audience text NOT NULL CONSTRAINT shared_links_audience_check CHECK (audience IN ('public', 'signed_in')),
    title text,
    messages jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, id),
    FOREIGN KEY (user_id, conversation_id) REFERENCES conversations (user_id, id) ON DELETE CASCADE
);
CREATE INDEX shared_links_token ON shared_links (token_hash);
CREATE INDEX shared_links_expiry ON shared_links (expires_at);
ALTER TABLE shared_links ENABLE ROW LEVEL SECURITY;
ALTER TABLE shared_links FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON shared_links TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON shared_links TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
GRANT SELECT, INSERT, DELETE ON shared_links TO parley_app;
GRANT SELECT (user_id, expires_at), DELETE ON shared_links TO parley_background;
CREATE POLICY background_sweeps ON shared_links TO parley_background USING (true);

CREATE FUNCTION parley_shared_link(wanted bytea) RETURNS TABLE (audience text, title text, messages jsonb, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT l.audience, l.title, l.messages, l.created_at
      FROM shared_links l JOIN users u ON u.id = l.user_id
     WHERE l.token_hash = wanted AND l.expires_at > now() AND u.disabled_at IS NULL
$$;
REVOKE ALL ON FUNCTION parley_shared_link(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION parley_shared_link(bytea) TO parley_app;
"""


def upgrade() -> None:
    """Create the table, its policies, and the function that finds a link."""
    op.execute(TABLE)
