"""The check of the constraints of links for groups."""

from alembic import op

revision, down_revision = "0058", "0057"


def upgrade() -> None:
    """Validate the constraints while links are read and written."""
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE shared_links VALIDATE CONSTRAINT shared_links_audience_check")
        op.execute("ALTER TABLE shared_links VALIDATE CONSTRAINT shared_links_group_fkey")
