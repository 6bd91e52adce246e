"""The sweep reads the types of deliveries: warnings of a month are kept longer than other events."""

from alembic import op

revision, down_revision = "0060", "0059"


def upgrade() -> None:
    """Let the background role read the type of a delivery."""
    op.execute("GRANT SELECT (type) ON webhook_deliveries TO parley_background")
