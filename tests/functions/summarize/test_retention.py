"""Retention: expired conversations are deleted, with the memory that only they support."""

from uuid import UUID

import pytest

from functions.summarize.schedule import delete_expired_conversations
from tests.functions.summarize.services import make_deadline, make_services


@pytest.fixture
def age(change):
    """Move a conversation's last activity so many days into the past."""
    return lambda id, days: change(
        "UPDATE conversations SET updated_at = now() - make_interval(days => :days) WHERE id = :id", id=UUID(id), days=days
    )


def remaining(conversation, person):
    return [item["id"] for item in conversation.get("/conversations", as_=person).json["items"]]


def test_the_deployments_retention_applies_by_default(engines, say, conversation, age, alice):
    old, new = say(alice, "old"), say(alice, "new")
    age(old, 31), age(new, 29)
    delete_expired_conversations(make_services(engines, retention_days=30), make_deadline())

    assert remaining(conversation, alice) == [new]


def test_a_users_own_retention_takes_precedence(engines, auth, say, conversation, age, alice, bob):
    of_alice, of_bob = say(alice, "hello"), say(bob, "hello")
    assert auth.patch("/auth/me", {"retention_days": 7}, as_=alice).json["retention_days"] == 7
    auth.patch("/auth/me", {"retention_days": 0}, as_=bob)
    age(of_alice, 8), age(of_bob, 400)
    delete_expired_conversations(make_services(engines, retention_days=30), make_deadline())

    assert (remaining(conversation, alice), remaining(conversation, bob)) == ([], [of_bob])


@pytest.fixture
def broken(change):
    """Store a reference to an image in a conversation that cannot be read, as after a bug, until the test ends."""
    broken_ids = []

    def broken(id):
        broken_ids.append(UUID(id))
        change('UPDATE messages SET parts = \'[{"type": "image", "id": "none"}]\' WHERE conversation_id = :id', id=UUID(id))

    yield broken
    for id in broken_ids:
        change("UPDATE messages SET parts = '[]' WHERE conversation_id = :id", id=id)


def test_a_conversation_that_cannot_be_deleted_keeps_no_other_users_from_their_retention(
    engines, say, conversation, age, broken, caplog, alice, bob
):
    first, second = sorted((alice, bob), key=lambda person: person.id)
    of_first, of_second = say(first, "old"), say(second, "old")
    age(of_first, 31), age(of_second, 31), broken(of_first)
    count = delete_expired_conversations(make_services(engines, retention_days=30), make_deadline())

    assert (count >= 1, remaining(conversation, first), remaining(conversation, second)) == (True, [of_first], [])
    assert "retention_failed" in caplog.text


def test_without_a_retention_everything_is_kept(engines, say, conversation, age, alice):
    id = say(alice, "old")
    age(id, 4000)
    delete_expired_conversations(make_services(engines), make_deadline())

    assert remaining(conversation, alice) == [id]


def test_memory_from_an_expired_conversation_is_deleted_with_it(summarize, engines, auth, say, rows, age, alice):
    id = say(alice, "I live in Lyon.")
    auth.patch("/auth/me", {"retention_days": 7}, as_=alice)
    summarize.run_schedule()
    age(id, 8)
    summarize.run_schedule()

    for table in ("conversations", "messages", "summaries", "passages", "memories", "memory_sources"):
        assert rows(f"SELECT count(*) FROM {table} WHERE user_id = :id", id=alice.id) == [(0,)], table
