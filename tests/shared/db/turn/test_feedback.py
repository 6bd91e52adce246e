"""Ratings of answers, as admins list them."""

import pytest

from parley.db import conversations, messages
from parley.db.transactions import global_scope
from parley.db.turn import feedback
from parley.ids import new_id


@pytest.fixture
def rated(run, alice):
    """The ids of a good and of a bad answer."""
    run(conversations.add, conversation_id := new_id(), user_id=alice.id)
    ids = {}
    for rating in ("good", "bad"):
        parts = [{"type": "text", "text": "I see."}]
        run(messages.add, id := new_id(), user_id=alice.id, conversation_id=conversation_id, role="assistant", parts=parts)
        run(feedback.put, id, user_id=alice.id, rating=rating, reason=None)
        ids[rating] = id
    return ids


@pytest.mark.parametrize(("rating", "shown"), [("good", ["good"]), ("bad", ["bad"]), (None, ["bad", "good"])])
def test_ratings_are_listed_newest_first_and_by_kind(engines, rated, rating, shown):
    with global_scope(engines["background"]) as connection:
        found = [one.message_id for one in feedback.page(connection, limit=1000, after=None, rating=rating)]

    assert [id for id in found if id in rated.values()] == [rated[kind] for kind in shown]
