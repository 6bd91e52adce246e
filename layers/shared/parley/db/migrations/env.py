"""Alembic's environment: runs all migrations in one transaction, on the caller's connection."""

from alembic import context
from sqlalchemy import text

from parley.db.tables import metadata

# An arbitrary number, but every release must use the same.
LOCK = 7_202_611

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=False)
with context.begin_transaction():
    # A transaction-level lock: a session-level lock would pin the connection of a proxy.
    context.get_bind().execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    context.run_migrations()
