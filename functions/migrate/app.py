"""Migrates the database and creates missing signing keys. Runs once per deployment; safe to repeat."""

from dataclasses import asdict
from typing import Any

from functions.migrate.upgrade import upgrade
from parley.auth.key_store import ensure_keys
from parley.db.engine import make_engine
from parley.observability import logger
from parley.observability.invocations import invocation_handler
from parley.settings import DatabaseSettings, KeySettings


class MigrateSettings(DatabaseSettings, KeySettings):
    """The settings of the migrate function, read from the environment."""


settings = MigrateSettings.read()
engine = make_engine(settings, role="owner")


@invocation_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Upgrade the database, and return the revisions before and after and the names of the created keys."""
    done = asdict(upgrade(engine)) | {"keys_made": ensure_keys(settings.keys_path)}
    logger.info("database_migrated", **done)
    return done
