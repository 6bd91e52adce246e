"""Messages to a turn that runs (steering): the model reads them at the next round of its tool loop.

`steering` is a list of `{"id", "text"}`. The turn's log and its answer say which of them the model has read.
"""

from alembic import op

revision, down_revision = "0054", "0053"

COLUMN = "ALTER TABLE turns ADD COLUMN steering jsonb NOT NULL DEFAULT '[]'"


def upgrade() -> None:
    """Add the column."""
    op.execute(COLUMN)
