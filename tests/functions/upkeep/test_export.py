"""The export contains every table and column about a user, compared with the database's catalogue."""

import json
from base64 import b64encode
from dataclasses import replace
from datetime import datetime

import boto3
import pytest
from botocore.exceptions import ClientError
from sqlalchemy import text

from functions.upkeep import user_data
from functions.upkeep.user_data import erase_user
from parley.db import messages, outbox
from parley.db.accounts import exports
from parley.db.accounts.exports import EXCLUDED_COLUMNS
from parley.db.tables import metadata
from parley.db.transactions import user_scope
from parley.errors import NotFound
from parley.ids import new_id
from parley.jobs import OutboxJob
from tests.support.tenant_fixture import TABLES_WITHOUT_OWNER, TenantFixture

OWNED = """
SELECT c.relname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
 WHERE k.contype = 'f' AND k.confrelid = 'public.users'::regclass UNION SELECT 'users'
"""
SECRET = ("hash", "secret", "token", "fingerprint", "answer", "file_key")
# The user's own answers to the forms of turns.
NOT_SECRET = {"approvals.answers"}
IN_PUBLIC = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'alembic_version'"


@pytest.fixture
def request_export(engine):
    """Request an export of a user and return the job."""

    def request_export(user):
        with user_scope(engine, user.id) as connection:
            export = exports.add(connection, new_id(), user_id=user.id)
            return OutboxJob.of(outbox.add(connection, "export", user_id=user.id, subject_id=export.id))

    return request_export


@pytest.fixture
def tenant(engines, alice):
    tenant = TenantFixture(alice)
    tenant.insert_rows(engines["owner"])
    return tenant


def stored(engine, job):
    with user_scope(engine, job.user_id) as connection:
        return exports.get(connection, job.subject_id, user_id=job.user_id)


def file_of(environment, file_key):
    return boto3.client("s3").get_object(Bucket=environment["PARLEY_FILES_BUCKET"], Key=file_key)["Body"].read()


@pytest.fixture
def document(upkeep, engine, environment, request_export, alice, tenant):
    """Return the export of the tenant fixture's user."""
    job = request_export(alice)
    assert upkeep.deliver(job) == []
    return json.loads(file_of(environment, stored(engine, job).file_key))


def test_every_table_is_known_to_the_tenant_fixture(engines, tenant):
    with engines["owner"].connect() as connection:
        tables = set(connection.execute(text(IN_PUBLIC)).scalars())

    assert tables == tenant._rules.keys() | TABLES_WITHOUT_OWNER


def test_every_table_that_names_a_user_is_in_the_export(engines, document):
    with engines["owner"].connect() as connection:
        owned = set(connection.execute(text(OWNED)).scalars())

    assert document["tables"].keys() == owned - {"invites"}  # which hold other people's addresses


def test_the_users_texts_of_every_table_are_in_the_export(document, tenant):
    for name, rows in document["tables"].items():
        columns = [
            column
            for column in metadata.tables[name].c
            if tenant.holds_marker(column) and column.name not in EXCLUDED_COLUMNS.get(name, ())
        ]
        rows_json = json.dumps(rows)
        assert [column.name for column in columns if tenant.marker_of(column) not in rows_json] == [], name


def test_no_credential_is_in_the_export(document, tenant):
    everything = json.dumps(document)
    texts = [column for name in document["tables"] for column in metadata.tables[name].c if tenant.holds_marker(column)]
    secrets = [column for column in texts if any(word in column.name for word in SECRET) and str(column) not in NOT_SECRET]
    for column in secrets:
        secret = tenant.marker_of(column)
        assert secret not in everything
        assert b64encode(secret.encode()).decode() not in everything
        assert column.name not in document["tables"][column.table.name][0]


def test_the_export_names_its_version_and_user(document, alice):
    assert (document["parley_export"], document["user_id"]) == (1, str(alice.id))
    assert document["exported_at"].endswith("Z")
    assert datetime.fromisoformat(document["tables"]["users"][0]["created_at"])


def test_nothing_of_another_user_is_in_the_export(document, bob, alice):
    assert str(bob.id) not in json.dumps(document)
    assert [row["id"] for row in document["tables"]["users"]] == [str(alice.id)]


def test_a_finished_export_is_ready_and_its_entry_deleted(upkeep, engine, postgres, request_export, alice):
    job = request_export(alice)
    upkeep.deliver(job)

    assert stored(engine, job).status == "ready"
    assert postgres.execute(f"SELECT 1 FROM outbox WHERE user_id = '{alice.id}'") == []


def test_a_second_delivery_changes_nothing(upkeep, engine, environment, request_export, alice):
    job = request_export(alice)
    upkeep.deliver(job)
    first = file_of(environment, stored(engine, job).file_key)

    assert upkeep.deliver(job) == []
    assert file_of(environment, stored(engine, job).file_key) == first


def test_more_rows_than_one_fetch_are_all_exported(upkeep, engine, environment, request_export, alice, conversation):
    conversation_id = conversation.post("/conversations", {}, as_=alice).json["id"]
    with user_scope(engine, alice.id) as connection:
        for number in range(1, 251):
            messages.add(
                connection, new_id(), user_id=alice.id, conversation_id=conversation_id, role="user", parts=[{"n": number}], tokens=1
            )
    job = request_export(alice)
    upkeep.deliver(job)

    rows = json.loads(file_of(environment, stored(engine, job).file_key))["tables"]["messages"]
    assert sorted(row["seq"] for row in rows) == list(range(1, 251))


class ErasedMeanwhile:
    """The real file store of a user who is erased while a file is being stored."""

    def __init__(self, services, user_id):
        self._services, self._user_id = services, user_id

    def put(self, file_key, content, *, media_type):
        erase_user(self._services, self._user_id)
        self._services.files.put(file_key, content, media_type=media_type)

    def delete(self, file_key):
        self._services.files.delete(file_key)


def test_the_export_of_a_user_erased_meanwhile_is_deleted(upkeep, environment, request_export, alice):
    from functions.upkeep.app import services

    job = request_export(alice)
    racing = replace(services, files=ErasedMeanwhile(services, alice.id))
    with pytest.raises(NotFound):
        user_data.make_export(racing, job.subject_id, user_id=alice.id, entry_id=job.entry_id)

    with pytest.raises(ClientError, match="NoSuchKey"):
        file_of(environment, f"exports/{alice.id}/{job.subject_id}.json")
