"""The restore of docs/operate.md: pg_dump and pg_restore by an administrator who is not a superuser, between two clusters."""

import os
import re
import subprocess

import psycopg
import pytest

from functions.migrate.upgrade import upgrade
from local.backup.database import describe
from local.services.postgres import pg_program
from parley.db.bootstrap import bootstrap
from parley.db.engine import make_engine
from parley.settings import DatabaseSettings
from tests.conftest import ROOT
from tests.fakes.rds import PASSWORD, running_rds
from tests.functions.migrate.test_guide_sql import run_as_administrator

USER = "018f0000-0000-7000-8000-000000000001"
ROWS = f"""
INSERT INTO users (id, email) VALUES ('{USER}', 'ada@example.com');
INSERT INTO conversations (user_id, id, title) VALUES ('{USER}', '{USER}', 'Grüße');
INSERT INTO passages (user_id, id, conversation_id, first_seq, last_seq, text, said_at, embedding, embedding_model)
VALUES ('{USER}', '{USER}', '{USER}', 1, 2, 'hello', now(), '[0.6,0.8]', 'small');
"""
RESTORE = (ROOT / "docs" / "operate.md").read_text().partition("## Restore\n")[2].partition("\n## ")[0]


def run(cluster, line, folder):
    """Run a line of the guide in a shell, with this server's programs and address."""
    variables = {"PATH": f"{pg_program('psql').parent}:{os.defpath}", "PGPASSWORD": PASSWORD, "PGPORT": str(cluster.server.port)}
    line = re.sub("<[a-z]+ host>", "127.0.0.1", line)
    done = subprocess.run(line, shell=True, env=variables, cwd=folder, check=False, capture_output=True, text=True)

    assert done.stderr == ""


def as_administrator(cluster, statement):
    with psycopg.connect(**cluster.address, dbname="parley", autocommit=True) as connection:
        connection.execute(statement)


def described(cluster):
    with psycopg.connect(
        host="127.0.0.1", port=cluster.server.port, user="postgres", password=superuser(cluster), dbname="parley"
    ) as found:
        return describe(found)


def superuser(cluster):
    return cluster.server._passwords["postgres"]


@pytest.fixture(scope="module")
def restored_cluster():
    with running_rds() as cluster:
        yield cluster


def test_the_rows_return_with_their_protection(rds, restored_cluster, database, monkeypatch, tmp_path):
    for cluster in (rds, restored_cluster):
        cluster.empty()
        bootstrap(lambda statement, cluster=cluster: as_administrator(cluster, statement))
        cluster.allow_passwords()
    monkeypatch.setenv("PGPASSFILE", str(restored_cluster.server.passfile))
    settings = DatabaseSettings.model_validate(database.model_dump() | {"database_port": restored_cluster.server.port})
    engine = make_engine(settings, role="owner")
    upgrade(engine)
    engine.dispose()
    restored_cluster.server.execute(ROWS)
    before = described(restored_cluster)

    dump, select, restore = re.findall(r"\$ (pg_.*)", RESTORE)
    grants, empty, revokes = re.findall(r" *```sql\n(.*?)```", RESTORE, re.DOTALL)
    run_as_administrator(restored_cluster, grants)
    run(restored_cluster, dump, tmp_path)
    for script in (grants, empty):
        run_as_administrator(rds, script)
    run(rds, select, tmp_path)
    run(rds, restore, tmp_path)
    run_as_administrator(rds, f"\\c parley\n{revokes}")
    after = described(rds)

    assert after["tables"] == before["tables"]
    assert {part for part in before["protection"] if after["protection"][part] != before["protection"][part]} == set()
