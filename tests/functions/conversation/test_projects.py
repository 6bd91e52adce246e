"""Projects over HTTP: their conversations, documents, and what becomes of both."""

import pytest

from parley.db import documents as stored_documents
from parley.db.transactions import user_scope
from parley.ids import new_id
from tests.functions.conversation.test_conversations import make, titles
from tests.functions.conversation.test_tags import bulk, change
from tests.support.builders import add_conversation, add_document


@pytest.fixture
def project(conversation, alice):
    """A project of alice."""
    answer = conversation.post("/projects", {"name": " Lisbon ", "instructions": "Prices in euros."}, as_=alice)
    assert answer.status == 201, answer.body
    return answer.json


def path(project):
    return f"/projects/{project['id']}"


def test_a_project_has_the_given_fields(conversation, alice, project, engine):
    handbook = str(add_document(engine, alice, "Trains go second class."))
    changed = conversation.patch(path(project), {"memory_scope": "project", "documents": [handbook, handbook]}, as_=alice).json

    assert (project["name"], project["instructions"], project["memory_scope"], project["documents"]) == (
        *("Lisbon", "Prices in euros.", "all"),
        [],
    )
    assert changed == project | {"memory_scope": "project", "documents": [handbook]}
    assert conversation.get(path(project), as_=alice).json == changed


def test_projects_are_listed_newest_first_with_pages(conversation, alice, project):
    second = conversation.post("/projects", {"name": "Porto"}, as_=alice).json
    page = conversation.get("/projects?limit=1", as_=alice).json

    assert page["items"] == [second]
    assert conversation.get(f"/projects?limit=1&cursor={page['next_cursor']}", as_=alice).json == {"items": [project], "next_cursor": None}


def test_a_conversation_is_in_one_project_and_listed_there(conversation, alice, project):
    other = conversation.post("/projects", {"name": "Porto"}, as_=alice).json
    made = make(conversation, alice, title="inside", project_id=project["id"])
    make(conversation, alice, title="outside")

    assert titles(conversation, alice, f"?project_id={project['id']}") == ["inside"]
    change(conversation, alice, made, project_id=other["id"])
    assert titles(conversation, alice, f"?project_id={project['id']}") == []
    assert change(conversation, alice, made, project_id=None)["project_id"] is None


def test_many_conversations_are_moved_at_once(conversation, alice, project):
    ids = [make(conversation, alice, title=str(number))["id"] for number in range(2)]

    assert bulk(conversation, alice, "move", *ids, project_id=project["id"]) == ["done", "done"]
    assert titles(conversation, alice, f"?project_id={project['id']}") == ["1", "0"]
    assert bulk(conversation, alice, "move", ids[0]) == ["done"]
    assert titles(conversation, alice, f"?project_id={project['id']}") == ["1"]


def test_a_fork_is_in_the_same_project(conversation, chat, alice, project):
    made = make(conversation, alice, project_id=project["id"])
    chat.post("/chat", {"message": "hello", "conversation_id": made["id"], "model": "offline", "stream": False}, as_=alice)
    fork = conversation.post(f"/conversations/{made['id']}/fork", {"upto_seq": 1}, as_=alice).json

    assert fork["project_id"] == project["id"]


def test_search_is_limited_to_a_project(conversation, alice, project, engine):
    inside = str(add_conversation(engine, alice, "puffins nest in burrows"))
    add_conversation(engine, alice, "puffins fly badly")
    bulk(conversation, alice, "move", inside, project_id=project["id"])
    found = conversation.get(f"/conversations/search?q=puffins&mode=text&project_id={project['id']}", as_=alice).json["items"]

    assert [item["conversation_id"] for item in found] == [inside]


@pytest.mark.parametrize(("conversations", "left"), [("keep", ["outside", "inside"]), ("delete", ["outside"])])
def test_a_deleted_project_keeps_or_deletes_its_conversations(conversation, alice, project, conversations, left):
    make(conversation, alice, title="inside", project_id=project["id"])
    make(conversation, alice, title="outside")

    assert conversation.delete(f"{path(project)}?conversations={conversations}", as_=alice).status == 204
    assert (titles(conversation, alice), conversation.get(path(project), as_=alice).status) == (left, 404)
    assert conversation.delete(path(project), as_=alice).status == 404


def test_a_deleted_document_leaves_its_projects(conversation, documents, alice, project, engine):
    handbook = str(add_document(engine, alice, "Trains go second class."))
    conversation.patch(path(project), {"documents": [handbook]}, as_=alice)
    documents.delete(f"/documents/{handbook}", as_=alice)

    assert conversation.get(path(project), as_=alice).json == project


@pytest.fixture
def shared(engine, bob):
    """Share a document of bob's with all users for the duration of the test."""
    document_id = add_document(engine, bob, "theirs", shared=True)
    yield document_id
    with user_scope(engine, bob.id) as connection:
        stored_documents.remove(connection, document_id, user_id=bob.id)


def test_a_project_takes_no_document_of_somebody_else(conversation, alice, project, engine, shared):
    hers, theirs = add_document(engine, alice, "hers"), shared
    conversation.patch(path(project), {"documents": [str(hers)]}, as_=alice)
    answer = conversation.patch(path(project), {"name": "x", "documents": [str(theirs)]}, as_=alice)

    assert answer.status == 404
    assert conversation.get(path(project), as_=alice).json == project | {"documents": [str(hers)]}


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"name": " "}, {"name": "x" * 101}, {"name": "x", "memory_scope": "none"}, {"name": "x", "documents": ["y"]}),
        *({"name": "x", "instructions": "x" * 32_001}, {"name": "x", "documents": [str(new_id()) for _ in range(101)]}),
    ],
)
def test_a_project_that_cannot_be_is_422(conversation, alice, body):
    assert conversation.post("/projects", body, as_=alice).status == 422


def test_a_user_has_up_to_200_projects(conversation, alice, project, postgres):
    rows = f"SELECT '{alice.id}', gen_random_uuid(), 'x' FROM generate_series(1, 199)"
    postgres.execute(f"INSERT INTO projects (user_id, id, name) {rows}")
    answer = conversation.post("/projects", {"name": "one more"}, as_=alice)

    assert (answer.status, answer.json["code"]) == (409, "too_many_projects")
