"""Alembic's environment: runs each migration in its own transaction on the caller's connection, or prints its SQL."""

from alembic import context
from sqlalchemy import Connection, event

from parley.db.migrations.operations import LIMITS
from parley.db.tables import metadata

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True, transaction_per_migration=True)
    context.run_migrations()
else:
    connection: Connection = context.config.attributes["connection"]

    @event.listens_for(connection, "begin")
    def set_limits(begun: Connection) -> None:
        if begun.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            begun.exec_driver_sql(LIMITS)

    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    context.run_migrations()
