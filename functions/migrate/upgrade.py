"""Runs the Alembic migrations that ship in the layer."""

from dataclasses import dataclass
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext

from parley.db.engine import Engine

MIGRATIONS = "parley.db.migrations"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The database revisions before and after the upgrade. None means an empty database."""

    revision_before: str | None
    revision_after: str | None


def upgrade(engine: Engine) -> Upgrade:
    """Upgrade the database to the newest revision, in one transaction. A lock lets only one process upgrade at a time."""
    config = Config()
    config.set_main_option("script_location", str(files(MIGRATIONS)))
    with engine.connect() as connection:
        before = MigrationContext.configure(connection).get_current_revision()
        connection.rollback()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
        return Upgrade(before, MigrationContext.configure(connection).get_current_revision())
