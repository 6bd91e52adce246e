"""The audit of the deployment. Its rows outlive the accounts that they name."""

from sqlalchemy import CheckConstraint, Column, Index, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from parley.db.tables.columns import metadata, timestamp

deployment_audit = Table(
    "deployment_audit",
    metadata,
    Column("id", Uuid, primary_key=True),
    timestamp("at"),
    Column("action", Text, nullable=False),
    Column(
        "actor",
        Text,
        CheckConstraint("actor IN ('user', 'admin', 'issuer', 'scim', 'system', 'stranger')", name="deployment_audit_actor_check"),
        nullable=False,
    ),
    Column("actor_id", Uuid),
    Column("account_id", Uuid),
    Column("network", Text),
    Column("outcome", Text, CheckConstraint("outcome IN ('done', 'refused')", name="deployment_audit_outcome_check"), nullable=False),
    Column("detail", JSONB, nullable=False, server_default="{}"),
    Index("deployment_audit_at", "at"),
    Index("deployment_audit_actor", "actor_id", "id"),
    Index("deployment_audit_account", "account_id", "id"),
)
