"""Durable turns: their event log, heartbeat and idempotency key, so that no turn is lost, duplicated or left open.

Two unique indexes guarantee that at most one turn is open in a conversation and at most one belongs to an `Idempotency-Key`.
The background role sees ids and times of turns, but no content.
"""

from alembic import op

revision, down_revision = "0004", "0003"

TABLES = """
-- Of the turns that an older release left running, only the newest of a conversation can still be alive.
UPDATE turns t SET status = 'interrupted', ended_at = now()
 WHERE status = 'running' AND (started_at < now() - interval '15 minutes' OR EXISTS (
       SELECT FROM turns n WHERE n.user_id = t.user_id AND n.conversation_id = t.conversation_id AND n.status = 'running' AND n.id > t.id));

ALTER TABLE turns
    ADD COLUMN route text,
    ADD COLUMN idempotency_key text,
    ADD COLUMN fingerprint bytea,
    ADD COLUMN heartbeat_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN stop_requested_at timestamptz,
    ADD COLUMN last_event integer NOT NULL DEFAULT 0,
    ADD COLUMN finish_reason text,
    ADD COLUMN first_token_ms double precision,
    ADD COLUMN total_ms double precision,
    ADD CONSTRAINT turns_status_check CHECK (status IN ('running', 'waiting', 'completed', 'stopped', 'interrupted', 'failed'));
CREATE UNIQUE INDEX turns_idempotency ON turns (user_id, route, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX turns_running ON turns (user_id, conversation_id) WHERE status = 'running';
CREATE INDEX turns_heartbeat ON turns (heartbeat_at) WHERE status = 'running';
CREATE INDEX turns_keys_age ON turns (started_at) WHERE idempotency_key IS NOT NULL;

CREATE TABLE turn_events (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    turn_id uuid NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    data jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, turn_id, number),
    FOREIGN KEY (user_id, turn_id) REFERENCES turns (user_id, id) ON DELETE CASCADE
);
CREATE INDEX turn_events_age ON turn_events (at);
"""

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"

RIGHTS = f"""
ALTER TABLE turn_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE turn_events FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON turn_events TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON turn_events TO parley_app USING (user_id = {ME}) WITH CHECK (user_id = {ME});
GRANT SELECT, INSERT ON turn_events TO parley_app;

GRANT SELECT (user_id, at), DELETE ON turn_events TO parley_background;
CREATE POLICY background_sweeps ON turn_events TO parley_background USING (true);
GRANT SELECT (user_id, id, status, heartbeat_at, started_at, idempotency_key) ON turns TO parley_background;
GRANT UPDATE (idempotency_key, fingerprint) ON turns TO parley_background;
CREATE POLICY background_finds_dead_turns ON turns FOR SELECT TO parley_background USING (true);
CREATE POLICY background_forgets_keys ON turns FOR UPDATE TO parley_background USING (true) WITH CHECK (true);
"""


def upgrade() -> None:
    """Add the columns, the table and the policies."""
    op.execute(TABLES)
    op.execute(RIGHTS)
