"""Documents and their chunks."""

revision, down_revision = "0008", "0007"


def upgrade() -> None:
    """Make it all."""
