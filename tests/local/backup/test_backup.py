"""The round trip of a stack's data through a backup, on real services."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from functions.migrate.upgrade import upgrade
from local.backup import copy, database
from local.data_dir import DataDir
from parley.db.engine import make_engine
from parley.settings import DatabaseSettings
from tests.conftest import ROOT

USER = "018f0000-0000-7000-8000-000000000001"
ROWS = f"""
INSERT INTO users (id, email) VALUES ('{USER}', 'ada@example.com');
INSERT INTO conversations (user_id, id, title) VALUES ('{USER}', '{USER}', 'Grüße');
INSERT INTO passages (user_id, id, conversation_id, first_seq, last_seq, text, said_at, embedding, embedding_model)
VALUES ('{USER}', '{USER}', '{USER}', 1, 2, 'hello', now(), '[0.6,0.8]', 'small');
"""
KEYS = {"/parley/parley/keys/refresh": "c2VjcmV0", "/parley/parley/keys/signing/k1": '{"kid": "k1"}'}
FILES = {"documents/u/d1": b"%PDF-1.7", "images/u/../odd name": bytes(range(256))}
BUCKET = "parley-files"


@asynccontextmanager
async def filled(data):
    """Run the services of a stack with a user, files and keys."""
    async with copy._running(data) as (address, aws):
        settings = DatabaseSettings(
            **{"database_host": "127.0.0.1", "database_port": address.port, "database_name": "parley"},
            **{"database_auth": "libpq", "database_tls": "disable", "database_ca_file": ""},
        )
        engine = make_engine(settings, role="owner")
        await asyncio.to_thread(upgrade, engine)
        engine.dispose()
        with address.connect() as connection:
            connection.execute(ROWS)
        aws._s3.create_bucket(Bucket=BUCKET)
        for key, body in FILES.items():
            aws._s3.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType="application/pdf")
        for name, value in KEYS.items():
            aws._ssm.put_parameter(Name=name, Value=value, Type="SecureString")
        yield address, aws


@pytest.fixture(scope="module")
def folder():
    # Not in pytest's folder: for root it is private, and PostgreSQL then runs as a different user.
    with TemporaryDirectory(prefix="parley-backup-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def stack(folder):
    """The data directory of a stopped stack with data."""
    data = DataDir(folder / "stack")
    before = os.environ.get("PGPASSFILE")
    os.environ["PGPASSFILE"] = str(data.pgpass)

    async def fill():
        async with filled(data):
            pass

    asyncio.run(fill())
    yield data
    os.environ.pop("PGPASSFILE")
    if before:
        os.environ["PGPASSFILE"] = before


@pytest.fixture(scope="module")
def saved(stack, folder):
    asyncio.run(copy.save(stack, folder / "backup", overwrite=False, report=print))
    return folder / "backup"


async def contents(data):
    async with copy._running(data) as (address, aws):
        with address.connect() as connection:
            described = database.describe(connection)
        files = {key: aws._s3.get_object(Bucket=bucket, Key=key) for bucket, key in aws.objects()}
        bodies = {key: (answer["ContentType"], answer["Body"].read()) for key, answer in files.items()}
        return described, bodies, {one["Name"]: (one["Type"], one["Value"]) for one in aws.parameters()}


def restored(saved, target, **options):
    asyncio.run(copy.restore(target, saved, overwrite=options.get("overwrite", False), report=print))
    return asyncio.run(contents(target))


def test_a_restored_stack_equals_the_saved_one(stack, saved, folder):
    before = asyncio.run(contents(stack))
    after = restored(saved, DataDir(folder / "new"))

    assert after == before
    assert (after[0]["tables"]["users"]["rows"], after[1].keys(), after[2].keys()) == (1, FILES.keys(), KEYS.keys())
    assert ["parley_search", "parley_owner", False, True] in after[0]["members"]
    assert ["messages", "parley_owner", True, True] in after[0]["protection"]["tables"]


def test_data_is_not_overwritten_by_accident(saved, stack):
    with pytest.raises(copy.TargetInUse, match="--overwrite"):
        restored(saved, stack)


def test_later_data_disappears_on_request(saved, folder):
    other = DataDir(folder / "other")
    first = restored(saved, other)

    async def change():
        async with copy._running(other) as (address, aws):
            with address.connect() as connection:
                connection.execute("UPDATE users SET email = 'changed@example.com'; CREATE ROLE parley_stranger")
                connection.execute("DROP ROLE parley_stranger")
            aws._s3.put_object(Bucket=BUCKET, Key="documents/u/later", Body=b"later")
            aws._ssm.put_parameter(Name="/parley/parley/keys/signing/k2", Value="{}", Type="SecureString")

    asyncio.run(change())

    assert restored(saved, other, overwrite=True) == first


def test_a_damaged_backup_is_refused_before_anything_changes(saved, stack, folder):
    damaged = folder / "damaged"
    shutil.copytree(saved, damaged)
    with (damaged / "database.dump").open("r+b") as file:
        file.seek(100)
        file.write(b"\0\0\0\0")

    with pytest.raises(copy.BackupUnusable, match="database.dump does not have its checksum"):
        asyncio.run(copy.restore(stack, damaged, overwrite=True, report=print))


def test_a_database_that_differs_from_its_description_is_not_taken_over(saved, stack, folder):
    other = folder / "other rows"
    shutil.copytree(saved, other)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["database"]["tables"]["users"]["checksum"] = "1"
    (other / "manifest.json").write_text(json.dumps(manifest))
    before = asyncio.run(contents(stack))

    with pytest.raises(database.DatabaseCopyFailed, match="differs from the backup: tables, users"):
        asyncio.run(copy.restore(stack, other, overwrite=True, report=print))
    assert asyncio.run(contents(stack)) == before


def test_a_backup_is_private(saved):
    assert [path.stat().st_mode & 0o077 for path in (saved, saved / "keys.json")] == [0, 0]


def parley(*arguments):
    return subprocess.run([sys.executable, "-m", "cli", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_names_an_existing_folder(saved, stack):
    done = parley("backup", str(saved), "--data", str(stack.path))

    assert (done.returncode, done.stderr) == (1, f"Error: {saved} exists; choose another folder, or replace it with --overwrite\n")


def test_the_command_refuses_a_folder_that_is_not_a_backup(folder, stack):
    done = parley("restore", str(folder), "--data", str(stack.path))

    assert (done.returncode, "is not a backup" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_the_command_names_the_running_stack(saved, stack):
    stack.open()
    try:
        done = parley("restore", str(saved), "--data", str(stack.path), "--overwrite")
    finally:
        stack.close()

    assert (done.returncode, "is in use by another `parley up`" in done.stderr) == (1, True)
