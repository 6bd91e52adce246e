"""Turns that wait for an approval and go on from any process."""

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    """Make it all."""
