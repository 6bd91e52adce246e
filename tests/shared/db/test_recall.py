"""Recall of one user, without row level security, beside another user who imported the same conversation."""

import pytest

from parley.db import conversations, messages
from parley.db.memories import MemoryOrigin
from parley.db.projects import projects
from parley.db.search import WindowStart, recall
from parley.db.transactions import user_scope
from parley.ids import new_id
from tests.support.builders import add_conversation, add_memory, first_message_id


@pytest.fixture
def conversation_id(engine, alice):
    """A conversation of alice's from which a fact was extracted."""
    id = add_conversation(engine, alice, "the storm")
    origin = MemoryOrigin(id, first_message_id(engine, alice, id))
    add_memory(engine, alice, "I like storms", source="extracted", origins=[origin])
    return id


@pytest.fixture
def add_project(engine):
    def add_project(person, project_id):
        with user_scope(engine, person.id) as connection:
            fields = {"name": "p", "instructions": None, "memory_scope": "project", "documents": []}
            projects.add(connection, project_id, user_id=person.id, **fields)

    return add_project


def recalled(superuser, person, *, facts=9, project_id=None):
    window = WindowStart(None, 0)
    counts = {"facts": facts, "passages": 9, "half_life_days": 30}
    found = recall(superuser, "storm", user_id=person.id, vector=None, window_start=window, **counts, project_id=project_id)
    return [(fact.text, fact.is_tainted) for fact in found.facts], [(passage.title, passage.is_tainted) for passage in found.passages]


def test_another_users_messages_taint_nothing_and_their_title_is_not_shown(engine, superuser, alice, bob, conversation_id):
    with user_scope(engine, bob.id) as connection:
        conversations.add(connection, conversation_id, user_id=bob.id, title="Another title")
        source = [{"type": "source", "number": 1}]
        messages.add(connection, new_id(), user_id=bob.id, conversation_id=conversation_id, role="user", parts=source)

    assert recalled(superuser, alice) == ([("I like storms", False)], [("the storm", False)])


def test_another_users_project_with_the_same_id_makes_no_fact_known_in_it(engine, superuser, alice, bob, conversation_id, add_project):
    project_id = new_id()
    for person in (alice, bob):
        add_project(person, project_id)
    with user_scope(engine, bob.id) as connection:
        conversations.add(connection, conversation_id, user_id=bob.id, project_id=project_id)

    assert recalled(superuser, alice, project_id=project_id) == ([], [])


def test_no_more_facts_are_recalled_in_a_project_than_are_asked_for(engine, superuser, alice, add_project):
    add_project(alice, project_id := new_id())
    for fact in ("I like storms", "I fear storms"):
        add_memory(engine, alice, fact)

    assert len(recalled(superuser, alice, facts=1, project_id=project_id)[0]) == 1
