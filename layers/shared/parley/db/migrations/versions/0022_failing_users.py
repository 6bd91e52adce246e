"""The user whose failure a circuit counted last, as a digest: the failures of one user count as one.

Circuits are counted per model from now on. Rows of the old names, of whole providers, are no longer read.
"""

from alembic import op

revision, down_revision = "0022", "0021"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE breakers ADD COLUMN failed_by integer")
