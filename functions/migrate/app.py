"""Brings the database and the signing keys up to this release. Invoked once for each deployment; safe to repeat."""

from dataclasses import asdict
from typing import Any

from functions.migrate.upgrade import upgrade
from parley.auth.key_store import ensure_keys
from parley.db.engine import make_engine
from parley.observability import logger
from parley.settings import DatabaseSettings, KeySettings


class MigrateSettings(DatabaseSettings, KeySettings):
    """What this function reads from its environment."""


settings = MigrateSettings.read()
engine = make_engine(settings, role="owner")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Upgrade, and return the revisions before and after and the names of the keys that were made."""
    done = asdict(upgrade(engine)) | {"keys_made": ensure_keys(settings.keys_path)}
    logger.info("migrated", **done)
    return done
