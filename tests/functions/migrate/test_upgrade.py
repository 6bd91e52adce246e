"""Migrations of databases that hold data and are in use."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from functions.migrate import upgrade as upgrade_module
from functions.migrate.upgrade import upgrade
from parley.db.engine import make_engine
from parley.db.migrations.lock import LockTimeout
from parley.settings import DatabaseSettings
from tests.shared.db.test_schema import NEWEST

BEFORE_DOCUMENTS_WERE_SHARED_FAIRLY = "0013"


@pytest.fixture
def engines(postgres, database, request):
    """Two engines of the owner's, for a new empty database."""
    name = postgres.create_database(f"upgrade_{abs(hash(request.node.name))}")
    settings = DatabaseSettings.model_validate(database.model_dump() | {"database_name": name})
    engines = [make_engine(settings, role="owner") for _ in range(2)]
    yield engines
    for engine in engines:
        engine.dispose()
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def execute(engine, statement):
    with engine.begin() as connection:
        return connection.execute(text(statement)).all() if statement.startswith("SELECT") else connection.execute(text(statement))


def test_older_code_leaves_a_newer_schema_alone(engines, caplog):
    upgrade(engines[0])
    execute(engines[0], "UPDATE alembic_version SET version_num = '9999'")
    done = upgrade(engines[0])

    assert (done.revision_before, done.revision_after) == ("9999", "9999")
    assert caplog.messages == ["schema_is_newer"]


def test_a_failed_migration_keeps_the_earlier_ones(engines):
    execute(engines[0], "CREATE TABLE api_keys (in_the_way integer)")  # 0002 creates a table of this name
    with pytest.raises(Exception, match="api_keys"):
        upgrade(engines[0])
    execute(engines[0], "DROP TABLE api_keys")

    assert upgrade(engines[0]).revision_before == "0001"
    assert upgrade(engines[0]).revision_before == NEWEST


def test_a_migration_waits_for_a_locked_table_and_lets_others_pass(engines, monkeypatch):
    upgrade(engines[0], BEFORE_DOCUMENTS_WERE_SHARED_FAIRLY)
    pauses = []
    with engines[1].connect() as reader, ThreadPoolExecutor(1) as pool:
        reader.execute(text("SELECT count(*) FROM documents"))
        monkeypatch.setattr(upgrade_module.time, "sleep", lambda _: (pauses.append(True), reader.rollback()))
        done = pool.submit(upgrade, engines[0]).result(60)

    assert (done.revision_after, pauses) == (NEWEST, [True])


def test_a_table_that_stays_locked_fails_the_migration(engines, monkeypatch):
    upgrade(engines[0], BEFORE_DOCUMENTS_WERE_SHARED_FAIRLY)
    monkeypatch.setattr(upgrade_module, "MAX_ATTEMPTS", 2)
    monkeypatch.setattr(upgrade_module.time, "sleep", lambda _: None)
    with engines[1].connect() as reader, pytest.raises(LockTimeout, match="lock timeout"):
        reader.execute(text("SELECT count(*) FROM documents"))
        upgrade(engines[0])

    assert upgrade(engines[0]).revision_after == NEWEST
