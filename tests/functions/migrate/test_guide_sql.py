"""The SQL of docs/deploy.md, as an administrator who is not a superuser, and the migrations after it."""

import re

import psycopg
import pytest

from functions.migrate.upgrade import upgrade
from parley.db.engine import make_engine
from parley.settings import DatabaseSettings
from tests.conftest import ROOT
from tests.shared.db.test_schema import NEWEST

BLOCKS = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text(), re.DOTALL)
USES_IAM = (
    "SELECT rolname FROM pg_roles WHERE rolname LIKE 'parley_%' AND pg_has_role(oid, 'rds_iam', 'MEMBER') AND NOT rolsuper ORDER BY 1"
)


def run_as_administrator(rds, script):
    """Run the lines as psql does: `\\c` changes the database."""
    database = "postgres"
    for line in filter(None, map(str.strip, script.splitlines())):
        if line.startswith("\\c "):
            database = line.removeprefix("\\c ")
            continue
        with psycopg.connect(**rds.address, dbname=database, autocommit=True) as connection:
            connection.execute(line)


@pytest.fixture
def migrated(rds, database, monkeypatch):
    """Run a block of the guide on an empty server, then the migrations, and return the revision."""

    def run(script):
        rds.empty()
        rds.server.execute("DROP DATABASE parley", dbname="postgres")
        run_as_administrator(rds, script)
        rds.allow_passwords()
        monkeypatch.setenv("PGPASSFILE", str(rds.server.passfile))
        engine = make_engine(DatabaseSettings.model_validate(database.model_dump() | {"database_port": rds.server.port}), role="owner")
        revision = upgrade(engine).revision_after
        engine.dispose()
        return revision

    return run


def test_the_guide_has_a_block_for_iam_and_one_for_passwords():
    assert ["rds_iam" in block for block in BLOCKS] == [True, False]


def test_a_database_with_iam_is_prepared_and_migrated(rds, migrated):
    assert migrated(BLOCKS[0]) == NEWEST
    assert {"parley_owner", "parley_app", "parley_background"} <= {name for (name,) in rds.server.execute(USES_IAM)}


def test_a_database_with_passwords_is_prepared_and_migrated(rds, migrated):
    assert migrated(BLOCKS[1]) == NEWEST
    assert {"parley_owner", "parley_app", "parley_background"} & {name for (name,) in rds.server.execute(USES_IAM)} == set()
