"""Pinned conversations, which clients list first, and the turn of an answer, whose figures the history shows."""

from alembic import op

from parley.db.migrations.operations import create_index

revision, down_revision = "0024", "0023"


def upgrade() -> None:
    """Add the column and the indexes. Deleting a message also looks for its turn by the second index."""
    op.execute("ALTER TABLE conversations ADD COLUMN IF NOT EXISTS is_pinned boolean NOT NULL DEFAULT false")
    create_index("conversations_pinned", "conversations (user_id, updated_at, id) WHERE is_pinned")
    create_index("turns_answer", "turns (user_id, message_id) WHERE message_id IS NOT NULL")
