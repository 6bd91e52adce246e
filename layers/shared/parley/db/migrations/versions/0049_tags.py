"""Tags of conversations, and archived conversations, which the list hides."""

from alembic import op

from parley.db.migrations.operations import create_index

revision, down_revision = "0049", "0048"

COLUMNS = """
ALTER TABLE conversations
    ADD COLUMN IF NOT EXISTS tags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS is_archived boolean NOT NULL DEFAULT false
"""


def upgrade() -> None:
    """Add the columns, and the index by which archived conversations are listed."""
    op.execute(COLUMNS)
    create_index("conversations_archived", "conversations (user_id, updated_at, id) WHERE is_archived")
