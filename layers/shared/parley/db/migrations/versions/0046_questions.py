"""Questions to the user: a paused turn may wait for the answers to a form, as well as for approvals.

`question` has the form and the tool call that asks. `answers` is null until the user answers, and stays null if they decline.
"""

from alembic import op

revision, down_revision = "0046", "0045"

COLUMNS = """
ALTER TABLE approvals ADD COLUMN question jsonb, ADD COLUMN answers jsonb;
GRANT UPDATE (answers) ON approvals TO parley_app;
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(COLUMNS)
