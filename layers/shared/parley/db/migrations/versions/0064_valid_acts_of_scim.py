"""The check of the constraint of the audit's actors."""

from alembic import op

revision, down_revision = "0064", "0063"


def upgrade() -> None:
    """Validate the constraint while rows are added."""
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE deployment_audit VALIDATE CONSTRAINT deployment_audit_actor_check")
