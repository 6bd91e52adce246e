"""Long-term memory: summaries, facts and passages."""

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    """Make it all."""
