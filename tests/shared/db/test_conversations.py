"""Conversations: which title stays, and which of them facts are read from."""

import pytest

from parley.db import conversations
from parley.ids import new_id


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
