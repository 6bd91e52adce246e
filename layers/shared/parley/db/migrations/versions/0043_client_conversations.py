"""Conversations of the Responses API: items that a client's tools belong to, unlike the messages of a user's own conversations."""

from alembic import op

revision, down_revision = "0043", "0042"

TABLES = """
CREATE TABLE client_conversations (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id)
);
CREATE INDEX client_conversations_use ON client_conversations (used_at);
ALTER TABLE client_conversations ENABLE ROW LEVEL SECURITY;
ALTER TABLE client_conversations FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON client_conversations TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON client_conversations TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON client_conversations TO parley_app;
GRANT SELECT (user_id, used_at), DELETE ON client_conversations TO parley_background;
CREATE POLICY background_sweeps ON client_conversations TO parley_background USING (true);

CREATE TABLE client_items (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    conversation_id uuid NOT NULL,
    number integer NOT NULL,
    id text NOT NULL,
    item jsonb NOT NULL,
    PRIMARY KEY (user_id, conversation_id, number),
    UNIQUE (user_id, conversation_id, id),
    FOREIGN KEY (user_id, conversation_id) REFERENCES client_conversations (user_id, id) ON DELETE CASCADE
);
ALTER TABLE client_items ENABLE ROW LEVEL SECURITY;
ALTER TABLE client_items FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON client_items TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON client_items TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
GRANT SELECT, INSERT, DELETE ON client_items TO parley_app;
"""


def upgrade() -> None:
    """Create the tables and their policies."""
    op.execute(TABLES)
