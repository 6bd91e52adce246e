"""Rights of the background role to end the access of any user: it locks credentials and revokes API keys.

`parley.db.accounts.administration.end_access` uses them. To lock a row takes the right to update a column of it; this one tells when
the credentials have changed, and opens nothing.
"""

from alembic import op

revision, down_revision = "0068", "0067"

RIGHTS = """
GRANT UPDATE (updated_at) ON credentials TO parley_background;
CREATE POLICY background_locks ON credentials FOR UPDATE TO parley_background USING (true);
GRANT UPDATE (revoked_at) ON api_keys TO parley_background;
"""


def upgrade() -> None:
    """Grant both rights."""
    op.execute(RIGHTS)
