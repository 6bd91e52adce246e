"""Turns in the conversations of a project: its instructions, its documents, and memory limited to it."""

from dataclasses import replace

import pytest

from functions.chat.turn.events import MemoryUsed, SourceGiven
from functions.chat.turn.prompt import DEFAULT_SYSTEM_PROMPT
from parley.db import conversations
from parley.db.memories import MemoryOrigin
from parley.db.projects import projects
from parley.db.transactions import user_scope
from parley.ids import new_id
from tests.functions.chat.statements import recorded_statements
from tests.support.builders import add_conversation, add_document, add_memory, first_message_id
from tests.support.turns import take


@pytest.fixture
def conversation_in(engine, alice):
    """Return a function that stores a project with an empty conversation, and returns the ids of both."""

    def store(instructions=None, memory_scope="all", documents=(), **fields):
        with user_scope(engine, alice.id) as connection:
            options = {"name": "Lisbon", "instructions": instructions, "memory_scope": memory_scope, "documents": documents}
            project = projects.add(connection, new_id(), user_id=alice.id, **options)
            made = conversations.add(connection, new_id(), user_id=alice.id, project_id=project.id, **fields)
        return project.id, made.id

    return store


@pytest.mark.parametrize("own", [None, "Be brief."])
def test_the_instructions_of_a_project_follow_the_system_prompt(services, provider, alice, conversation_in, own):
    _, inside = conversation_in("Prices in euros.", system_prompt=own)
    take(services, alice, conversation_id=inside)
    take(services, alice)

    assert [request.system for request in provider.requests] == [
        f"{own or DEFAULT_SYSTEM_PROMPT}\n\nPrices in euros.",
        DEFAULT_SYSTEM_PROMPT,
    ]


def test_the_documents_of_a_project_are_searched_and_no_others(engine, services, alice, conversation_in):
    handbook = add_document(engine, alice, "The code of the safe is 4711.")
    add_document(engine, alice, "The safe code of the other house is 1234.", title="other")
    _, inside = conversation_in(documents=[handbook])
    events = take(services, alice, "What is the code of the safe?", conversation_id=inside)

    assert [event.document_id for event in events if isinstance(event, SourceGiven)] == [handbook]


def test_a_question_in_a_project_may_name_another_document(engine, services, alice, conversation_in):
    other = add_document(engine, alice, "The safe code of the other house is 1234.", title="other")
    _, inside = conversation_in(documents=[add_document(engine, alice, "The code of the safe is 4711.")])
    events = take(services, alice, "What is the code of the safe?", conversation_id=inside, documents=[other])

    assert [event.document_id for event in events if isinstance(event, SourceGiven)] == [other]


def test_a_question_without_a_relation_to_the_projects_documents_has_no_sources(engine, services, provider, alice, conversation_in):
    _, inside = conversation_in(documents=[add_document(engine, alice, "The code of the safe is 4711.")])
    take(services, alice, "hello", conversation_id=inside)

    assert provider.requests[0].sources == ()


def test_a_key_that_may_not_search_documents_does_not_search_those_of_a_project(engine, services, provider, alice, conversation_in):
    _, inside = conversation_in(documents=[add_document(engine, alice, "The code of the safe is 4711.")])
    chats_only = replace(alice, claims=alice.claims | {"scope": "chat conversations"})
    take(services, chats_only, "What is the code of the safe?", conversation_id=inside)

    assert provider.requests[0].sources == ()


@pytest.mark.parametrize(("scope", "found"), [("project", {"inside"}), ("all", {"inside", "outside"})])
def test_memory_is_limited_to_a_project_if_it_says_so(engine, services, alice, conversation_in, scope, found):
    project_id, current = conversation_in(memory_scope=scope)
    add_conversation(engine, alice, "the boat is inside", project_id=project_id)
    add_conversation(engine, alice, "the boat is outside")
    events = take(services, alice, "where is the boat?", conversation_id=current)

    assert {event.text.rpartition(" ")[2] for event in events if isinstance(event, MemoryUsed)} == found


def test_limited_memory_has_the_facts_of_the_project_and_those_that_the_user_wrote(engine, services, provider, alice, conversation_in):
    project_id, current = conversation_in(memory_scope="project")
    inside, outside = add_conversation(engine, alice, "in", project_id=project_id), add_conversation(engine, alice, "out")
    for text, stated_in in (("The boat is blue", inside), ("The boat is red", outside), ("A sail is torn", outside)):
        origin = MemoryOrigin(stated_in, first_message_id(engine, alice, stated_in))
        add_memory(engine, alice, text, source="extracted", origins=[origin])
    add_memory(engine, alice, "I am allergic to nuts")
    take(services, alice, "which colour has the boat?", conversation_id=current)

    assert {fact.partition(" (")[0] for fact in provider.requests[0].facts} == {"The boat is blue", "I am allergic to nuts"}


def test_a_conversation_without_a_project_costs_no_further_statement(engine, services, alice, conversation_in):
    _, inside = conversation_in("Prices in euros.")
    started, *_ = take(services, alice)
    counts = []
    for id in (started.conversation_id, inside):
        with recorded_statements(engine) as statements:
            take(services, alice, conversation_id=id)
        counts.append(sum("FROM projects" in str(statement) for statement in statements))

    assert counts == [0, 1]
