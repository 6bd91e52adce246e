"""Everything stored about a user, as a file; which tables and columns that is comes from the catalogue."""

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
IN_PUBLIC = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'alembic_version'"


@pytest.fixture
def ask(engine):
    """Ask for an export of a user's and return the message."""

    def ask(user):
        with user_scope(engine, user.id) as connection:
            made = exports.add(connection, new_id(), user_id=user.id)
            return OutboxJob.of(outbox.add(connection, "export", user_id=user.id, subject_id=made.id))

    return ask


@pytest.fixture
def tenant(engines, alice):
    tenant = TenantFixture(alice)
    tenant.insert_rows(engines["owner"])
    return tenant


def stored(engine, work):
    with user_scope(engine, work.user_id) as connection:
        return exports.get(connection, work.subject_id, user_id=work.user_id)


def file_of(environment, file_key):
    return boto3.client("s3").get_object(Bucket=environment["PARLEY_FILES_BUCKET"], Key=file_key)["Body"].read()


@pytest.fixture
def document(upkeep, engine, environment, ask, alice, tenant):
    """The canary user's file."""
    work = ask(alice)
    assert upkeep.deliver(work) == []
    return json.loads(file_of(environment, stored(engine, work).file_key))


def test_every_table_of_the_database_has_a_rule_for_the_canary(engines, tenant):
    with engines["owner"].connect() as connection:
        tables = set(connection.execute(text(IN_PUBLIC)).scalars())

    assert tables == tenant._rules.keys() | TABLES_WITHOUT_OWNER


def test_every_table_that_names_a_user_is_in_the_export(engines, document):
    with engines["owner"].connect() as connection:
        owned = set(connection.execute(text(OWNED)).scalars())

    assert document["tables"].keys() == owned - {"invites"}  # which hold other people's addresses


def test_what_the_user_wrote_is_in_the_export_whatever_the_table(document, tenant):
    for name, rows in document["tables"].items():
        columns = [
            column
            for column in metadata.tables[name].c
            if tenant.holds_marker(column) and column.name not in EXCLUDED_COLUMNS.get(name, ())
        ]
        found = json.dumps(rows)
        assert [column.name for column in columns if tenant.marker_of(column) not in found] == [], name


def test_nothing_that_opens_a_door_is_in_the_export(document, tenant):
    everything = json.dumps(document)
    texts = [column for name in document["tables"] for column in metadata.tables[name].c if tenant.holds_marker(column)]
    for column in (column for column in texts if any(word in column.name for word in SECRET)):
        told = tenant.marker_of(column)
        assert told not in everything
        assert b64encode(told.encode()).decode() not in everything
        assert column.name not in document["tables"][column.table.name][0]


def test_the_file_says_what_it_is_and_of_whom(document, alice):
    assert (document["parley_export"], document["user_id"]) == (1, str(alice.id))
    assert document["exported_at"].endswith("Z")
    assert datetime.fromisoformat(document["tables"]["users"][0]["created_at"])


def test_nothing_of_another_user_is_in_the_export(document, bob, alice):
    assert str(bob.id) not in json.dumps(document)
    assert [row["id"] for row in document["tables"]["users"]] == [str(alice.id)]


def test_an_export_is_ready_and_its_entry_gone_when_it_is_done(upkeep, engine, postgres, ask, alice):
    work = ask(alice)
    upkeep.deliver(work)

    assert stored(engine, work).status == "ready"
    assert postgres.execute(f"SELECT 1 FROM outbox WHERE user_id = '{alice.id}'") == []


def test_a_second_delivery_changes_nothing(upkeep, engine, environment, ask, alice):
    work = ask(alice)
    upkeep.deliver(work)
    first = file_of(environment, stored(engine, work).file_key)

    assert upkeep.deliver(work) == []
    assert file_of(environment, stored(engine, work).file_key) == first


def test_more_rows_than_come_at_once_are_all_there(upkeep, engine, environment, ask, alice, conversation):
    made = conversation.post("/conversations", {}, as_=alice).json["id"]
    with user_scope(engine, alice.id) as connection:
        for number in range(1, 251):
            messages.add(connection, new_id(), user_id=alice.id, conversation_id=made, role="user", parts=[{"n": number}], tokens=1)
    work = ask(alice)
    upkeep.deliver(work)

    rows = json.loads(file_of(environment, stored(engine, work).file_key))["tables"]["messages"]
    assert sorted(row["seq"] for row in rows) == list(range(1, 251))


class ErasedMeanwhile:
    """The real files of a user who is erased while one is being stored."""

    def __init__(self, services, user_id):
        self._desk, self._user_id = services, user_id

    def put(self, file_key, content, *, media_type):
        erase_user(self._desk, self._user_id)
        self._desk.files.put(file_key, content, media_type=media_type)

    def delete(self, file_key):
        self._desk.files.delete(file_key)


def test_the_file_of_a_user_who_is_erased_meanwhile_does_not_remain(upkeep, environment, ask, alice):
    from functions.upkeep.app import services

    work = ask(alice)
    racing = replace(services, files=ErasedMeanwhile(services, alice.id))
    with pytest.raises(NotFound):
        user_data.make_export(racing, work.subject_id, user_id=alice.id, entry_id=work.entry_id)

    with pytest.raises(ClientError, match="NoSuchKey"):
        file_of(environment, f"exports/{alice.id}/{work.subject_id}.json")
