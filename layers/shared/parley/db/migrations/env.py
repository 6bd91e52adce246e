"""Alembic's environment: one transaction on the connection that the caller hands over."""

from alembic import context
from sqlalchemy import text

from parley.db.tables import metadata

# Any number will do as long as every release uses the same.
LOCK = 7_202_611

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=False)
with context.begin_transaction():
    # A lock of the transaction, not of the session: the latter would pin a proxied connection.
    context.get_bind().execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    context.run_migrations()
