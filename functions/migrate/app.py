"""Migrates the database and creates missing signing keys: in each deployment, as a CloudFormation resource, or invoked directly."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache, partial
from typing import Any

from functions.migrate.custom_resource import RESPONSE_RESERVE_S, ResourceEvent, answer, is_resource_event
from functions.migrate.mcp_queries import encrypt_queries
from functions.migrate.upgrade import upgrade
from parley.auth.encryption import TextCipher
from parley.auth.key_store import ensure_keys, load_encryption_key
from parley.aws.data_api import DataApi
from parley.db.bootstrap import bootstrap, set_passwords
from parley.db.engine import Engine, database_password, make_engine
from parley.observability import logger
from parley.observability.invocations import invocation_handler
from parley.settings import DatabaseSettings, KeySettings


class MigrateSettings(DatabaseSettings, KeySettings):
    """The settings of the migrate function, read from the environment.

    `database_cluster` and `database_master_secret` are the ARNs of the Aurora cluster that the stack created and of its master
    user's password. Without a cluster, the deployer has prepared the database.
    """

    database_cluster: str = ""
    database_master_secret: str = ""


@cache
def settings() -> MigrateSettings:
    """Return the settings. Read by the first call, so that CloudFormation gets an answer if one is invalid."""
    return MigrateSettings.read()


@cache
def engine() -> Engine:
    """Return the engine of the role that owns the schema."""
    return make_engine(settings(), role="owner", waits_for_wake=True)


@invocation_handler
def handler(event: dict[str, Any], context: Any) -> Mapping[str, Any]:
    """Upgrade the database, and return the revisions before and after and the names of the created keys.

    An event of CloudFormation returns an empty object instead: its result is sent to CloudFormation.
    """
    if not is_resource_event(event):
        return migrate()
    remaining_s = context.get_remaining_time_in_millis() / 1000
    answer(ResourceEvent.model_validate(event), migrate, timeout_s=remaining_s - RESPONSE_RESERVE_S)
    return {}


def migrate() -> Mapping[str, Any]:
    """Prepare the database if the stack created it, upgrade it, and create missing keys. Safe to repeat."""
    if settings().database_cluster:
        data_api = DataApi(settings().database_cluster, settings().database_master_secret, database=settings().database_name)
        bootstrap(data_api.run)
    if settings().database_auth == "secret":
        secrets = settings().database_app_secret, settings().database_background_secret
        app, background = map(database_password, secrets)
        set_passwords(engine(), {"app": app, "background": background})
    done = asdict(upgrade(engine())) | {"keys_made": ensure_keys(settings().keys_path)}
    encrypt_queries(engine(), TextCipher(partial(load_encryption_key, settings().keys_path)))
    logger.info("database_migrated", **done)
    return done
