"""Follow-up work of turns: one entry for a conversation, claimed by one worker at a time; titles, and how long conversations are kept.

Conversations of an older release are remembered after their next turn.
"""

from alembic import op

revision, down_revision = "0010", "0008"

TABLES = """
ALTER TABLE outbox
    ADD COLUMN generation integer NOT NULL DEFAULT 0,
    ADD COLUMN tries integer NOT NULL DEFAULT 0,
    ADD COLUMN claimed_until timestamptz;
CREATE UNIQUE INDEX outbox_follow_up ON outbox (user_id, topic, subject_id) WHERE topic IN ('title', 'remember');

ALTER TABLE conversations
    ADD COLUMN is_title_automatic boolean NOT NULL DEFAULT false,
    ADD COLUMN remembered_seq integer NOT NULL DEFAULT 0;

ALTER TABLE users ADD COLUMN retention_days integer CONSTRAINT users_retention_check CHECK (retention_days >= 0);
"""

RIGHTS = """
GRANT UPDATE (generation, due_at, tries, claimed_until) ON outbox TO parley_app;
GRANT UPDATE (tries, claimed_until) ON outbox TO parley_background;

GRANT UPDATE (retention_days) ON users TO parley_app;
GRANT SELECT (retention_days) ON users TO parley_background;
GRANT SELECT (user_id, id, updated_at) ON conversations TO parley_background;
CREATE POLICY background_finds_old_ones ON conversations FOR SELECT TO parley_background USING (true);
"""


def upgrade() -> None:
    """Make it all."""
    op.execute(TABLES)
    op.execute(RIGHTS)
