"""Web hooks, and the log of their deliveries.

A delivery's `key` names what happened, so that an event that is noted twice is delivered once to each web hook. `data` has ids and
amounts, and no text of a conversation.
"""

from alembic import op

revision, down_revision = "0047", "0046"

TABLES = """
CREATE TABLE webhooks (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    url text NOT NULL,
    events text[] NOT NULL,
    secret bytea NOT NULL,
    previous_secret bytea,
    rotated_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id)
);

CREATE TABLE webhook_deliveries (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    webhook_id uuid NOT NULL,
    type text NOT NULL,
    key text NOT NULL,
    data jsonb NOT NULL,
    status text NOT NULL DEFAULT 'pending'
        CONSTRAINT webhook_deliveries_status_check CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    response_status integer,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id),
    FOREIGN KEY (user_id, webhook_id) REFERENCES webhooks (user_id, id) ON DELETE CASCADE,
    CONSTRAINT webhook_deliveries_key UNIQUE (user_id, webhook_id, key)
);
CREATE INDEX webhook_deliveries_age ON webhook_deliveries (created_at);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE status = 'pending';
GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks TO parley_app;
GRANT SELECT, INSERT, UPDATE ON webhook_deliveries TO parley_app;
GRANT SELECT (user_id, id, status, due_at, created_at), UPDATE (due_at), DELETE ON webhook_deliveries TO parley_background;
CREATE POLICY background_sweeps ON webhook_deliveries TO parley_background USING (true);
"""
POLICIES = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON {table} TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON {table} TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
"""


def upgrade() -> None:
    """Create the tables and their policies."""
    op.execute(TABLES)
    for table in ("webhooks", "webhook_deliveries"):
        op.execute(POLICIES.format(table=table))
