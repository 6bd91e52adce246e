"""Scheduled prompts, their runs, and the time of the next one.

A run is unique for its prompt and time, so that a prompt runs once however often its time is found. `schedule_alarm` has one row and
belongs to no user: the time for which a message waits in the queue, so that all prompts together need one message.
"""

from alembic import op

revision, down_revision = "0052", "0051"

TABLES = """
CREATE TABLE scheduled_prompts (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    prompt text NOT NULL,
    cron text,
    every_minutes integer,
    time_zone text NOT NULL DEFAULT 'UTC',
    model text,
    tools boolean NOT NULL DEFAULT false,
    documents boolean NOT NULL DEFAULT false,
    email boolean NOT NULL DEFAULT false,
    next_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    paused_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id)
);
CREATE INDEX scheduled_prompts_due ON scheduled_prompts (next_at) WHERE paused_at IS NULL;

CREATE TABLE schedule_runs (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    schedule_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'queued'
        CONSTRAINT schedule_runs_status_check CHECK (status IN ('queued', 'running', 'completed', 'waiting', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    leased_until timestamptz,
    conversation_id uuid,
    turn_id uuid,
    error_code text,
    sent_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (user_id, id),
    FOREIGN KEY (user_id, schedule_id) REFERENCES scheduled_prompts (user_id, id) ON DELETE CASCADE,
    CONSTRAINT schedule_runs_once UNIQUE (user_id, schedule_id, due_at)
);
CREATE INDEX schedule_runs_age ON schedule_runs (created_at);
CREATE INDEX schedule_runs_open ON schedule_runs (sent_at) WHERE status IN ('queued', 'running');

CREATE TABLE schedule_alarm (
    id bigint PRIMARY KEY CONSTRAINT schedule_alarm_id_check CHECK (id = 1),
    rings_at timestamptz
);
INSERT INTO schedule_alarm (id) VALUES (1);

GRANT SELECT, INSERT, UPDATE, DELETE ON scheduled_prompts TO parley_app;
GRANT SELECT, UPDATE ON schedule_runs TO parley_app;
GRANT SELECT (user_id, id, cron, every_minutes, time_zone, next_at, paused_at), UPDATE (next_at) ON scheduled_prompts TO parley_background;
GRANT SELECT (user_id, id, schedule_id, due_at, status, attempts, leased_until, sent_at, created_at),
      INSERT (user_id, id, schedule_id, due_at), UPDATE (sent_at), DELETE ON schedule_runs TO parley_background;
GRANT SELECT, UPDATE ON schedule_alarm TO parley_background;
CREATE POLICY background_finds_due ON scheduled_prompts TO parley_background USING (true) WITH CHECK (true);
CREATE POLICY background_starts ON schedule_runs TO parley_background USING (true) WITH CHECK (true);
ALTER TABLE schedule_alarm ENABLE ROW LEVEL SECURITY;
ALTER TABLE schedule_alarm FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON schedule_alarm TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY background_sets ON schedule_alarm TO parley_background USING (true) WITH CHECK (true);
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
    for table in ("scheduled_prompts", "schedule_runs"):
        op.execute(POLICIES.format(table=table))
