"""The index by which the conversations of a project are listed, and the check of their foreign key."""

from alembic import op

from parley.db.migrations.operations import create_index

revision, down_revision = "0051", "0050"


def upgrade() -> None:
    """Build the index and validate the key while conversations are read and written."""
    create_index("conversations_project", "conversations (user_id, project_id, updated_at, id) WHERE project_id IS NOT NULL")
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE conversations VALIDATE CONSTRAINT conversations_project_fkey")
