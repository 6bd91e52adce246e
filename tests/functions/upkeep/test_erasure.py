"""Erasure is complete, as a dump of the whole database and the bucket show."""

from dataclasses import replace

import boto3
import pytest
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID

from functions.upkeep.user_data import erase_user
from parley.db import outbox
from parley.db.accounts import exports
from parley.db.transactions import user_scope
from parley.ids import new_id
from parley.jobs import OutboxJob
from tests.support.tenant_fixture import TenantFixture

FOLDERS = ("exports", "documents", "uploads", "images")


@pytest.fixture
def tenant(engines, alice):
    tenant = TenantFixture(alice)
    tenant.insert_rows(engines["owner"])
    return tenant


@pytest.fixture
def request_erasure(engine):
    """Add the erasure of a user to the outbox and return the job."""

    def request_erasure(user):
        with user_scope(engine, user.id) as connection:
            return OutboxJob.of(outbox.add(connection, "erase", user_id=user.id))

    return request_erasure


@pytest.fixture
def bucket(environment):
    return boto3.resource("s3").Bucket(environment["PARLEY_FILES_BUCKET"])


def keys_of(bucket, user):
    return [file.key for file in bucket.objects.all() if str(user.id) in file.key]


def test_a_dump_contains_no_row_of_the_user(upkeep, postgres, tenant, alice, request_erasure):
    identifying = [tenant.token, tenant.token.encode().hex(), alice.email, str(alice.id)]
    before = postgres.dump()
    assert upkeep.deliver(request_erasure(alice)) == []
    after = without_audit(postgres.dump())

    assert [text for text in identifying if text not in before] == []
    assert [text for text in identifying if text in after] == []


def without_audit(dump):
    """Return a dump without the audit of the deployment, whose rows keep the ids of deleted accounts."""
    before, header, rest = dump.partition("COPY public.deployment_audit ")
    return before + rest.partition("\n\\.\n")[2] if header else dump


def test_the_deployments_audit_keeps_the_id_and_nothing_else(upkeep, postgres, tenant, alice, request_erasure):
    upkeep.deliver(request_erasure(alice))
    rows = str(postgres.execute("SELECT * FROM deployment_audit", dbname="parley"))

    assert str(alice.id) in rows
    assert [text for text in (tenant.token, alice.email) if text in rows] == []


def test_no_file_of_the_user_is_left(upkeep, bucket, request_erasure, alice, bob):
    for user in (alice, bob):
        for folder in FOLDERS:
            bucket.put_object(Key=f"{folder}/{user.id}/a.txt", Body=b"x")
    upkeep.deliver(request_erasure(alice))

    assert keys_of(bucket, alice) == []
    assert len(keys_of(bucket, bob)) == len(FOLDERS)


def test_more_files_than_one_call_deletes_are_all_deleted(upkeep, bucket, request_erasure, alice):
    store = get_backend("s3")[DEFAULT_ACCOUNT_ID]["global"]
    for number in range(1001):
        store.put_object(bucket.name, f"documents/{alice.id}/{number}", b"")
    upkeep.deliver(request_erasure(alice))

    assert keys_of(bucket, alice) == []


def test_the_users_sessions_end(upkeep, auth, conversation, request_erasure, alice):
    upkeep.deliver(request_erasure(alice))

    assert auth.get("/auth/me", as_=alice).status == 401
    assert conversation.get("/conversations", as_=alice).status == 401
    assert auth.post("/auth/refresh", {"refresh_token": alice.tokens["refresh_token"]}).status == 401


def lines_about(dump, user):
    return [line for line in dump.splitlines() if str(user.id) in line]


def test_other_users_rows_are_untouched(upkeep, engines, postgres, request_erasure, alice, bob):
    TenantFixture(bob).insert_rows(engines["owner"])
    before = lines_about(postgres.dump(), bob)
    upkeep.deliver(request_erasure(alice))

    assert len(before) > 10
    assert lines_about(postgres.dump(), bob) == before


def test_a_second_delivery_changes_nothing(upkeep, request_erasure, alice, bob, auth):
    job = request_erasure(alice)

    assert upkeep.deliver(job, job) == []
    assert auth.get("/auth/me", as_=bob).status == 200


@pytest.mark.parametrize("first", ["export", "erase"])
def test_a_queued_export_does_not_outlive_its_user(upkeep, engine, bucket, request_erasure, alice, first):
    with user_scope(engine, alice.id) as connection:
        export = exports.add(connection, new_id(), user_id=alice.id)
        export_job = OutboxJob.of(outbox.add(connection, "export", user_id=alice.id, subject_id=export.id))
    jobs = [export_job, request_erasure(alice)]

    assert upkeep.deliver(*(jobs if first == "export" else reversed(jobs))) == []
    assert keys_of(bucket, alice) == []


class StoredMeanwhile:
    """The real file store; after it deletes the files of a user, one more is stored."""

    def __init__(self, files, put):
        self._files, self._left = files, [put]

    def delete_all_of(self, user_id):
        self._files.delete_all_of(user_id)
        if self._left:
            self._left.pop()()


def test_a_file_stored_during_the_deletion_is_deleted_too(upkeep, bucket, alice):
    from functions.upkeep.app import services

    def put():
        bucket.put_object(Key=f"exports/{alice.id}/late.json", Body=b"{}")

    erase_user(replace(services, files=StoredMeanwhile(services.files, put)), alice.id)

    assert keys_of(bucket, alice) == []
