"""Idempotency keys of requests whose work takes several transactions, with the time by which the work must have ended."""

from alembic import op

revision, down_revision = "0016", "0015"

TABLES = """
ALTER TABLE idempotency_keys ADD COLUMN running_until timestamptz;
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(TABLES)
