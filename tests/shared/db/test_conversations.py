"""Conversations: which title stays, which of them facts are read from, and which expire."""

import pytest
from sqlalchemy import text

from parley.db import conversations
from parley.ids import new_id

RETENTION = {"default_days": 7, "limit": 9}


@pytest.mark.parametrize(("fields", "is_set"), [({}, True), ({"title": "Mine"}, False)])
def test_a_generated_title_replaces_none_that_somebody_chose(run, alice, fields, is_set):
    run(conversations.add, id := new_id(), user_id=alice.id, **fields)

    assert run(conversations.set_generated_title, id, user_id=alice.id, title="Herons") is is_set
    assert run(conversations.get, id, user_id=alice.id).title == ("Herons" if is_set else "Mine")
    assert not run(conversations.set_generated_title, id, user_id=alice.id, title="Terns")


@pytest.mark.parametrize("is_incognito", [False, True])
def test_facts_are_read_from_a_conversation_unless_it_is_incognito(run, alice, is_incognito):
    run(conversations.add, id := new_id(), user_id=alice.id, is_incognito=is_incognito)

    assert run(conversations.extraction_progress, id, user_id=alice.id).is_allowed is not is_incognito


@pytest.fixture
def expired(run, superuser, alice):
    """Two conversations without activity for nine and for eight days."""
    ids = [run(conversations.add, new_id(), user_id=alice.id).id for _ in range(2)]
    with superuser.begin() as connection:
        for id, days in zip(ids, (9, 8), strict=True):
            since = text("UPDATE conversations SET updated_at = now() - make_interval(days => :days) WHERE id = :id")
            connection.execute(since, {"id": id, "days": days})
    return ids


def test_the_conversations_that_are_inactive_for_longest_expire_first(run, alice, expired):
    assert run(conversations.lock_expired, user_id=alice.id, **RETENTION) == expired
    assert run(conversations.lock_expired, user_id=alice.id, **RETENTION | {"limit": 1}) == expired[:1]


def test_a_conversation_in_use_does_not_expire(run, superuser, alice, expired):
    with superuser.begin() as connection:
        connection.execute(text("SELECT FROM conversations WHERE id = :id FOR NO KEY UPDATE"), {"id": expired[0]})

        assert run(conversations.lock_expired, user_id=alice.id, **RETENTION) == expired[1:]
