"""A mark for messages from which the user has forgotten a fact: no memory is made of them any more."""

from alembic import op

revision, down_revision = "0023", "0022"


def upgrade() -> None:
    """Add the column. The default is a constant, so no row is rewritten."""
    op.execute("ALTER TABLE messages ADD COLUMN IF NOT EXISTS is_forgotten boolean NOT NULL DEFAULT false")
