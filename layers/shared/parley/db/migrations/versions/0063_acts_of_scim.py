"""Acts of an identity provider over SCIM are in the audit of the deployment as such. The next migration validates the constraint."""

from alembic import op

revision, down_revision = "0063", "0062"

TABLE = """
ALTER TABLE deployment_audit DROP CONSTRAINT deployment_audit_actor_check;
ALTER TABLE deployment_audit ADD CONSTRAINT deployment_audit_actor_check
    CHECK (actor IN ('user', 'admin', 'issuer', 'scim', 'system', 'stranger')) NOT VALID;
"""


def upgrade() -> None:
    """Allow the actor."""
    op.execute(TABLE)
