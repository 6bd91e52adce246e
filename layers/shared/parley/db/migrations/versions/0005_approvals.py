"""Approvals: turns that wait for a decision and that any process can resume.

A waiting turn is open, like a running one, and a conversation has at most one open turn. The turn's row holds the checkpoint
from which the turn resumes; resuming deletes `turn.waiting` from the log. To find turns that have waited too long, the
background role sees only ids and times.
"""

from alembic import op

revision, down_revision = "0005", "0004"

TABLES = """
ALTER TABLE turns
    ADD COLUMN held jsonb,
    ADD COLUMN waiting_since timestamptz;
DROP INDEX turns_running;
CREATE UNIQUE INDEX turns_running ON turns (user_id, conversation_id) WHERE status IN ('running', 'waiting');
CREATE INDEX turns_waiting ON turns (waiting_since) WHERE status = 'waiting';

CREATE TABLE approvals (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    turn_id uuid NOT NULL,
    call_id text NOT NULL,
    asked_by integer NOT NULL,
    place integer NOT NULL,
    name text NOT NULL,
    arguments jsonb NOT NULL,
    is_approved boolean,
    asked_at timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz,
    PRIMARY KEY (user_id, turn_id, call_id),
    FOREIGN KEY (user_id, turn_id) REFERENCES turns (user_id, id) ON DELETE CASCADE
);
"""

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"

RIGHTS = f"""
ALTER TABLE approvals ENABLE ROW LEVEL SECURITY;
ALTER TABLE approvals FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON approvals TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON approvals TO parley_app USING (user_id = {ME}) WITH CHECK (user_id = {ME});
GRANT SELECT, INSERT, UPDATE (is_approved, decided_at) ON approvals TO parley_app;

GRANT DELETE ON turn_events TO parley_app;
GRANT SELECT (waiting_since) ON turns TO parley_background;
"""


def upgrade() -> None:
    """Add the columns, the table and the policies."""
    op.execute(TABLES)
    op.execute(RIGHTS)
