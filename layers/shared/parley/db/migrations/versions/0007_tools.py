"""What each user lets tools do, and the remote MCP servers whose tools they may use."""

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    """Make it all."""
