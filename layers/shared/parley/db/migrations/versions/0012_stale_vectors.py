"""Whose passages lack vectors of today's model: for the schedule, which embeds them anew after a switch."""

from alembic import op

revision, down_revision = "0012", "0011"

INDEX = "CREATE INDEX passages_model ON passages (embedding_model, user_id);"

# Ids and the model's name, and nothing of what was said.
RIGHTS = """
GRANT SELECT (user_id, embedding_model) ON passages TO parley_background;
CREATE POLICY background_finds_models ON passages FOR SELECT TO parley_background USING (true);
"""


def upgrade() -> None:
    """Make it all."""
    op.execute(INDEX)
    op.execute(RIGHTS)
