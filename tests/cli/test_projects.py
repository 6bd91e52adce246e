"""`parley projects`, and conversations in projects."""

import pytest

from tests.cli import replies

LISBON = {"id": "0190a1b2-0000-7000-8000-00000000aaaa", "name": "Lisbon", "instructions": "In euros.", "memory_scope": "project"}
TALK = {"id": "0190a1b2-0000-7000-8000-0000deadbeef", "title": "Foxes"}


@pytest.fixture
def lisbon(server, alice):
    """The project Lisbon with a document, and a conversation."""
    server.on("GET /projects", replies.reply(200, {"items": [LISBON | {"documents": ["d"]}], "next_cursor": None}))
    server.on("GET /conversations", replies.reply(200, {"items": [TALK], "next_cursor": None}))
    server.on("POST /conversations/bulk", replies.reply(200, {"items": [{"id": TALK["id"], "outcome": "done"}]}))
    server.on(f"PATCH /projects/{LISBON['id']}", replies.reply(200, LISBON | {"name": "Porto"}))
    server.on(f"DELETE /projects/{LISBON['id']}", replies.reply(204))
    return server


def test_projects_are_listed(lisbon, parley):
    assert parley("projects").stdout.splitlines()[1].split() == ["0000aaaa", "Lisbon", "its", "own", "1", "In", "euros."]


def test_a_project_is_made(server, alice, parley):
    server.on("POST /projects", replies.reply(201, LISBON))

    assert parley("projects", "add", "Lisbon", "--memory", "project").stdout == "Made 'Lisbon' (0000aaaa)\n"
    assert server.requests[-1].body == {"name": "Lisbon", "instructions": None, "memory_scope": "project", "documents": []}


def test_a_project_is_changed_by_its_name(lisbon, parley):
    assert parley("projects", "change", "lisbon", "--name", "Porto", "--no-documents").stdout == "Changed 'Porto' (0000aaaa)\n"
    assert lisbon.requests[-1].body == {"name": "Porto", "documents": []}


def test_a_change_of_nothing_is_a_usage_error(lisbon, parley):
    assert parley("projects", "change", "Lisbon").exit_code == 2


@pytest.mark.parametrize(("options", "sent"), [((), "keep"), (("--with-conversations",), "delete")])
def test_a_deleted_project_keeps_its_conversations_unless_told_otherwise(lisbon, parley, options, sent):
    assert parley("projects", "delete", "0000aaaa", "--yes", *options).stdout == "Deleted 'Lisbon' (0000aaaa)\n"
    assert lisbon.lines[-1].endswith(f"?conversations={sent}")


@pytest.mark.parametrize(
    ("project", "sent", "told"), [("Lisbon", LISBON["id"], "Moved to 'Lisbon':"), ("none", None, "Moved out of its project:")]
)
def test_conversations_are_moved(lisbon, parley, project, sent, told):
    assert parley("conversations", "move", project, "deadbeef").stdout == f"{told} 'Foxes' (deadbeef)\n"
    assert lisbon.requests[-1].body == {"action": "move", "project_id": sent, "ids": [TALK["id"]]}


def test_the_conversations_of_a_project_are_listed(lisbon, parley):
    parley("conversations", "list", "--project", "Lisbon")

    assert lisbon.lines[-1] == f"GET /conversations?limit=20&project_id={LISBON['id']}"


def test_a_chat_starts_in_a_project(lisbon, parley):
    lisbon.on("POST /conversations", replies.reply(201, {"id": "c-7"}))
    lisbon.on("POST /chat", replies.problem(422, "invalid", "No."))
    parley("chat", "hello", "--project", "Lisbon")

    assert [(request.line, request.body) for request in lisbon.requests if request.line == "POST /conversations"] == [
        ("POST /conversations", {"project_id": LISBON["id"]})
    ]
