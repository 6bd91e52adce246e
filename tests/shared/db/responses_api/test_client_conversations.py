"""Conversations of the Responses API beside those of another user, also with the same ids, without row level security."""

import pytest
from sqlalchemy import func, text

from parley.db.responses_api import client_conversations
from parley.db.responses_api.client_conversations import ConversationFull
from parley.db.tables import client_conversations as conversations_table
from parley.errors import NotFound
from parley.ids import new_id

ADD_ITEMS = text(
    """
    INSERT INTO client_items (user_id, conversation_id, number, id, item)
    SELECT :user, :id, n, n::text, jsonb_build_object('id', n::text) FROM generate_series(1, :count) n
    """
)
USE = text("UPDATE client_conversations SET used_at = now() + make_interval(days => :days) WHERE user_id = :user")
OF_BOTH = text("SELECT user_id, id FROM client_conversations WHERE user_id = ANY(:ids)")


@pytest.fixture
def conversation(world):
    """A conversation of ann's. One of bea's has the same id and three items."""
    id = new_id()
    for name in ("ann", "bea"):
        client_conversations.create(world.connection, id, {"of": name}, user_id=getattr(world, name))
    items = [{"id": f"bea{number}"} for number in range(3)]
    client_conversations.add_items(world.connection, id, items, user_id=world.bea)
    return id


def item_ids(world, id, name):
    return [item["id"] for item in client_conversations.items(world.connection, id, user_id=getattr(world, name))]


def test_items_are_added_to_and_removed_from_one_conversation(world, conversation):
    other = new_id()
    client_conversations.create(world.connection, other, {}, user_id=world.ann)
    for id in (conversation, other):
        client_conversations.add_items(world.connection, id, [{"id": "bea0"}, {"id": "x"}], user_id=world.ann)
    client_conversations.remove_item(world.connection, conversation, "bea0", user_id=world.ann)

    assert (item_ids(world, conversation, "ann"), item_ids(world, other, "ann")) == (["x"], ["bea0", "x"])
    assert item_ids(world, conversation, "bea") == ["bea0", "bea1", "bea2"]
    numbers = text("SELECT number FROM client_items WHERE user_id = :user AND conversation_id = :id")
    assert world.connection.scalars(numbers, {"user": world.ann, "id": conversation}).all() == [2]


def test_a_conversation_has_4096_items(world, conversation):
    world.connection.execute(ADD_ITEMS, {"user": world.ann, "id": conversation, "count": 4095})
    client_conversations.add_items(world.connection, conversation, [{"id": "last"}], user_id=world.ann)
    with pytest.raises(ConversationFull):
        client_conversations.add_items(world.connection, conversation, [{"id": "more"}], user_id=world.ann)
    client_conversations.add_items(world.connection, conversation, [{"id": "answer"}], user_id=world.ann, is_limited=False)

    assert item_ids(world, conversation, "ann")[-3:] == ["last", "more", "answer"]


def test_one_conversation_of_one_user_is_changed_and_removed(world, conversation):
    changed = client_conversations.change(world.connection, conversation, {"of": "all"}, user_id=world.ann)
    client_conversations.remove(world.connection, conversation, user_id=world.ann)

    assert changed.metadata == {"of": "all"}
    assert client_conversations.get(world.connection, conversation, user_id=world.bea).metadata == {"of": "bea"}
    for missing in (client_conversations.remove, client_conversations.get):
        with pytest.raises(NotFound):
            missing(world.connection, conversation, user_id=world.ann)


def test_the_conversations_of_a_user_used_longest_ago_are_deleted_beyond_a_number(world, conversation, monkeypatch):
    monkeypatch.setattr(client_conversations, "MAX_CONVERSATIONS", 2)
    for days, user_id in ((-1, world.ann), (1, world.bea)):
        world.connection.execute(USE, {"days": days, "user": user_id})
    new = [new_id(), new_id()]
    for id in new:
        client_conversations.create(world.connection, id, {}, user_id=world.ann)
    found = world.connection.execute(OF_BOTH, {"ids": [world.ann, world.bea]}).all()

    assert set(map(tuple, found)) == {(world.ann, new[0]), (world.ann, new[1]), (world.bea, conversation)}


def test_unused_conversations_are_deleted_when_their_user_wishes_or_after_400_days(world):
    # By person: after how many days conversations are deleted, and when a conversation was used.
    days = {"ann": (10, 9), "bea": (10, 11), "cat": (None, 399), "dan": (None, 401), "eve": (0, 401)}
    for name, (retention, unused) in days.items():
        id = getattr(world, name)
        world.connection.execute(text("UPDATE users SET retention_days = :days WHERE id = :id"), {"days": retention, "id": id})
        used_at = func.now() - func.make_interval(0, 0, 0, unused)
        world.insert(conversations_table, [{"user_id": id, "id": new_id(), "used_at": used_at}])
    client_conversations.sweep(world.connection)

    assert world.names(world.connection.scalars(text("SELECT user_id FROM client_conversations"))) == ["ann", "cat", "eve"]
