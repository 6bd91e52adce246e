"""Runs the Alembic migrations that ship in the layer."""

import time
from dataclasses import dataclass
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from parley.db.engine import Engine
from parley.db.migrations.lock import LockTimeout, lock_migrations, translated_lock_timeouts
from parley.observability import logger

MIGRATIONS = "parley.db.migrations"
# A migration waits half a second for each lock, then lets the requests pass that queue behind it.
MAX_ATTEMPTS = 20
RETRY_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The database revisions before and after the upgrade. None means an empty database."""

    revision_before: str | None
    revision_after: str | None


def upgrade(engine: Engine, target: str = "head") -> Upgrade:
    """Upgrade the database to the revision `target`, one transaction for each migration. Only one process upgrades at a time.

    If a migration fails, the earlier ones stay, and a repetition continues there. A database with a revision newer than
    every revision of this release is not changed: older code runs on a newer schema. Raises LockTimeout if a table stays
    locked by others.
    """
    config = migrations_config()
    scripts = ScriptDirectory.from_config(config)
    with lock_migrations(engine):
        before = _revision(engine)
        newest_known = max(script.revision for script in scripts.walk_revisions())
        if before and before > newest_known:
            logger.warning("schema_is_newer", revision=before, newest_known=newest_known)
            return Upgrade(before, before)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                _run(engine, config, target)
                break
            except LockTimeout:
                if attempt == MAX_ATTEMPTS:
                    raise
                logger.info("migration_waited", attempt=attempt, revision=_revision(engine))
                time.sleep(RETRY_PAUSE_S)
        return Upgrade(before, _revision(engine))


def migrations_config() -> Config:
    """Return Alembic's configuration, which names only the folder of the migrations."""
    config = Config()
    config.set_main_option("script_location", str(files(MIGRATIONS)))
    return config


def _run(engine: Engine, config: Config, target: str) -> None:
    with engine.connect() as connection, translated_lock_timeouts():
        config.attributes["connection"] = connection
        command.upgrade(config, target)


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()
