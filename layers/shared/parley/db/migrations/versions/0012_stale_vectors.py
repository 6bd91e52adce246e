"""An index of passages by embedding model, for the schedule that embeds passages again after a change of models."""

from alembic import op

from parley.db.migrations.operations import create_index

revision, down_revision = "0012", "0011"

# Ids and the model's name only, no content.
RIGHTS = """
GRANT SELECT (user_id, embedding_model) ON passages TO parley_background;
CREATE POLICY background_finds_models ON passages FOR SELECT TO parley_background USING (true);
"""


def upgrade() -> None:
    """Add the index and the rights."""
    create_index("passages_model", "passages (embedding_model, user_id)")
    op.execute(RIGHTS)
