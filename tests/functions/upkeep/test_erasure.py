"""Nothing is left of who goes: read from a dump of the whole database and from the bucket."""

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
def order(engine):
    """Note in the outbox that a user is to be erased and return the message."""

    def order(user):
        with user_scope(engine, user.id) as connection:
            return OutboxJob.of(outbox.add(connection, "erase", user_id=user.id))

    return order


@pytest.fixture
def bucket(environment):
    return boto3.resource("s3").Bucket(environment["PARLEY_FILES_BUCKET"])


def keys_of(bucket, user):
    return [found.key for found in bucket.objects.all() if str(user.id) in found.key]


def test_no_row_of_the_user_is_left_in_a_dump(upkeep, postgres, tenant, alice, order):
    telling = [tenant.token, tenant.token.encode().hex(), alice.email, str(alice.id)]
    before = postgres.dump()
    assert upkeep.deliver(order(alice)) == []
    after = postgres.dump()

    assert [text for text in telling if text not in before] == []
    assert [text for text in telling if text in after] == []


def test_no_file_of_the_user_is_left(upkeep, bucket, order, alice, bob):
    for user in (alice, bob):
        for folder in FOLDERS:
            bucket.put_object(Key=f"{folder}/{user.id}/a.txt", Body=b"x")
    upkeep.deliver(order(alice))

    assert keys_of(bucket, alice) == []
    assert len(keys_of(bucket, bob)) == len(FOLDERS)


def test_more_files_than_one_call_deletes_all_go(upkeep, bucket, order, alice):
    store = get_backend("s3")[DEFAULT_ACCOUNT_ID]["global"]
    for number in range(1001):
        store.put_object(bucket.name, f"documents/{alice.id}/{number}", b"")
    upkeep.deliver(order(alice))

    assert keys_of(bucket, alice) == []


def test_the_users_sessions_are_dead(upkeep, auth, conversation, order, alice):
    upkeep.deliver(order(alice))

    assert auth.get("/auth/me", as_=alice).status == 401
    assert conversation.get("/conversations", as_=alice).status == 401
    assert auth.post("/auth/refresh", {"refresh_token": alice.tokens["refresh_token"]}).status == 401


def lines_about(dump, user):
    return [line for line in dump.splitlines() if str(user.id) in line]


def test_other_users_rows_are_untouched(upkeep, engines, postgres, order, alice, bob):
    TenantFixture(bob).insert_rows(engines["owner"])
    before = lines_about(postgres.dump(), bob)
    upkeep.deliver(order(alice))

    assert len(before) > 10
    assert lines_about(postgres.dump(), bob) == before


def test_a_second_delivery_changes_nothing(upkeep, order, alice, bob, auth):
    work = order(alice)

    assert upkeep.deliver(work, work) == []
    assert auth.get("/auth/me", as_=bob).status == 200


@pytest.mark.parametrize("first", ["export", "erase"])
def test_an_export_that_is_queued_does_not_outlive_its_user(upkeep, engine, bucket, order, alice, first):
    with user_scope(engine, alice.id) as connection:
        made = exports.add(connection, new_id(), user_id=alice.id)
        wanted = OutboxJob.of(outbox.add(connection, "export", user_id=alice.id, subject_id=made.id))
    works = [wanted, order(alice)]

    assert upkeep.deliver(*(works if first == "export" else reversed(works))) == []
    assert keys_of(bucket, alice) == []


class StoredMeanwhile:
    """The real files of a user for whom one more is stored after they were deleted."""

    def __init__(self, files, put):
        self._files, self._left = files, [put]

    def delete_all_of(self, user_id):
        self._files.delete_all_of(user_id)
        if self._left:
            self._left.pop()()


def test_a_file_that_is_stored_while_the_user_goes_is_deleted_too(upkeep, bucket, alice):
    from functions.upkeep.app import services

    def put():
        bucket.put_object(Key=f"exports/{alice.id}/late.json", Body=b"{}")

    erase_user(replace(services, files=StoredMeanwhile(services.files, put)), alice.id)

    assert keys_of(bucket, alice) == []
