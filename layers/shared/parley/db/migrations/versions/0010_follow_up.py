"""Follow-up jobs of turns, with at most one entry for each topic of a conversation, and a mark for automatic titles.

For conversations from an older release, memory is extracted after their next turn.
"""

from alembic import op

from parley.db.migrations.operations import create_index

revision, down_revision = "0010", "0009"

TABLES = """
ALTER TABLE outbox
    ADD COLUMN IF NOT EXISTS generation integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS tries integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS claimed_until timestamptz;

ALTER TABLE conversations ADD COLUMN IF NOT EXISTS is_title_automatic boolean NOT NULL DEFAULT false;
"""

RIGHTS = """
GRANT UPDATE (generation, due_at, tries, claimed_until) ON outbox TO parley_app;
GRANT UPDATE (tries, claimed_until) ON outbox TO parley_background;
"""


def upgrade() -> None:
    """Add the columns, the index and the rights."""
    op.execute(TABLES)
    op.execute(RIGHTS)
    create_index("outbox_follow_up", "outbox (user_id, topic, subject_id) WHERE topic IN ('title', 'remember')", is_unique=True)
