"""The resources and prompts of our MCP server: a user's documents and conversations, for the official client."""

import pytest
from mcp.types import PromptReference, ResourceTemplateReference

from functions.tools.mcp_endpoint import completion, resources
from parley.db import chunks, documents
from parley.db.chunks import NewChunk
from parley.db.transactions import user_scope
from parley.ids import new_id
from tests.functions.tools.mcp_client import MODERN, completed, narrowed
from tests.support.builders import add_steered_turn

SUMMARIZE = PromptReference(name="summarize_document")
TEXTS = ["The first part ends with these words.", "ends with these words. And then it goes on."]


@pytest.fixture
def document_id(engine, alice):
    """A document of two chunks, of which the second repeats the end of the first."""
    id, values = new_id(), {"title": "Handbook", "filename": "a.md", "content_type": "text/markdown", "bytes": 1, "sha256": b"x" * 32}
    with user_scope(engine, alice.id) as connection:
        documents.add(connection, id, user_id=alice.id, **values)
        parts = [NewChunk(number, "Leave", text, None, 0, 9) for number, text in enumerate(TEXTS)]
        chunks.add(connection, id, parts, user_id=alice.id, is_shared=False)
        documents.mark_ready(connection, id, user_id=alice.id, held_until=None, chunks=2, note=None)
    return id


@pytest.fixture
def conversation_id(chat, alice):
    """A conversation of one turn."""
    return chat.post("/chat", {"message": "Where is Lisbon?", "model": "offline", "stream": False}, as_=alice).json["conversation_id"]


async def uris(session):
    found, cursor = [], None
    while True:
        page = await session.list_resources(cursor=cursor)
        found += [str(one.uri) for one in page.resources]
        if (cursor := page.next_cursor) is None:
            return found


@pytest.mark.parametrize("mode", ["legacy", MODERN])
def test_documents_and_conversations_are_listed(client, alice, document_id, conversation_id, mode):
    assert client(uris, alice, mode=mode) == [f"parley://documents/{document_id}", f"parley://conversations/{conversation_id}"]


def test_long_lists_come_in_pages(client, alice, chat, conversation, monkeypatch):
    monkeypatch.setattr(resources, "PAGE_ITEMS", 2)
    made = [conversation.post("/conversations", {"title": f"{number}"}, as_=alice).json["id"] for number in range(5)]

    assert client(uris, alice) == [f"parley://conversations/{id}" for id in reversed(made)]


@pytest.mark.parametrize("cursor", ["x", "WyJvdGhlciJd", "WyJkb2N1bWVudHMiLCAxXQ==", "WyJjb252ZXJzYXRpb25zIiwgIngiXQ=="])
def test_a_cursor_of_another_list_is_refused(client, alice, cursor):
    assert client(lambda session: session.list_resources(cursor=cursor), alice).error.code == -32602


@pytest.mark.parametrize("mode", ["legacy", MODERN])
def test_a_document_is_read_without_repetitions(client, alice, document_id, mode):
    (found,) = client(lambda session: session.read_resource(f"parley://documents/{document_id}"), alice, mode=mode).contents

    assert found.text == f"# Handbook\n\n## Leave\n\n{TEXTS[0]}\n\n And then it goes on."


def test_a_conversation_is_read(client, alice, conversation_id):
    (found,) = client(lambda session: session.read_resource(f"parley://conversations/{conversation_id}"), alice).contents

    assert "Where is Lisbon?" in found.text
    assert [line.split(",")[0] for line in found.text.splitlines() if line.startswith("## ")] == ["## user", "## assistant"]


def test_a_conversation_shows_what_the_user_said_within_an_answer(client, engine, alice):
    id = add_steered_turn(engine, alice, "What is the price?", "In euros, please")
    (found,) = client(lambda session: session.read_resource(f"parley://conversations/{id}"), alice).contents

    assert [line.split(",")[0] for line in found.text.splitlines() if line.startswith("## ")] == ["## user", "## assistant"] * 2
    assert "In euros, please" in found.text


@pytest.mark.parametrize(("mode", "code"), [("legacy", -32002), (MODERN, -32602)])
def test_somebody_elses_resource_looks_like_a_missing_one(client, bob, document_id, conversation_id, mode, code):
    wanted = [f"documents/{document_id}", f"conversations/{conversation_id}", f"documents/{new_id()}", "documents/x", "other"]
    errors = [client(lambda session, path=path: session.read_resource(f"parley://{path}"), bob, mode=mode) for path in wanted]

    assert {(error.error.code, error.message) for error in errors} == {(code, "There is no such resource.")}


def test_a_token_reads_only_what_its_scopes_cover(client, alice, document_id, conversation_id):
    person = narrowed(alice, "tools documents")
    read = client(lambda session: session.read_resource(f"parley://conversations/{conversation_id}"), person)

    assert client(uris, person) == [f"parley://documents/{document_id}"]
    assert client(uris, narrowed(alice, "tools")) == []
    assert read.message == "There is no such resource."


def test_the_prompts_follow_the_scopes(client, alice):
    async def names(session):
        return [one.name for one in (await session.list_prompts()).prompts]

    assert client(names, alice) == ["ask_documents", "summarize_document", "recall", "continue_conversation"]
    assert client(names, narrowed(alice, "tools conversations")) == ["recall", "continue_conversation"]


def test_a_prompt_holds_its_resource_and_its_argument(client, alice, document_id):
    about = client(lambda session: session.get_prompt("summarize_document", {"document": str(document_id)}), alice)
    asked = client(lambda session: session.get_prompt("ask_documents", {"question": "How many {argument} days?"}), alice)

    assert about.messages[0].content.resource.text.startswith("# Handbook")
    assert asked.messages[0].content.text.endswith("Question: How many {argument} days?")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("unknown", {}),
        ("recall", {}),
        ("recall", {"topic": ""}),
        ("recall", {"topic": "x" * 4001}),
        ("continue_conversation", {"conversation": "x"}),
    ],
)
def test_a_prompt_that_cannot_be_filled_in_is_an_error(client, alice, name, arguments):
    assert client(lambda session: session.get_prompt(name, arguments), alice).error.code == -32602


@pytest.mark.parametrize("mode", ["legacy", MODERN])
@pytest.mark.parametrize("typed", ["", "hand", "BOOK"])
def test_a_prompts_argument_is_completed_to_a_title_that_the_prompt_accepts(client, alice, document_id, typed, mode):
    (value,) = completed(client, alice, SUMMARIZE, "document", typed, mode)
    found = client(lambda session: session.get_prompt("summarize_document", {"document": value}), alice, mode=mode)

    assert value == f"Handbook [{document_id}]"
    assert found.messages[0].content.resource.text.startswith("# Handbook")


def test_the_variable_of_an_address_is_completed_to_an_id(client, alice, document_id, conversation_id):
    documents = ResourceTemplateReference(uri="parley://documents/{id}")
    conversations = ResourceTemplateReference(uri="parley://conversations/{id}")

    assert completed(client, alice, documents, "id", str(document_id)[:13].upper()) == [str(document_id)]
    assert completed(client, alice, conversations, "id", "") == [conversation_id]


def test_other_text_and_somebody_elses_titles_complete_nothing(client, alice, bob, document_id):
    assert completed(client, alice, SUMMARIZE, "document", "%") == []
    assert completed(client, bob, SUMMARIZE, "document", "hand") == []
    assert completed(client, alice, PromptReference(name="recall"), "topic", "hand") == []


def test_more_titles_than_a_response_may_hold_are_announced(client, alice, conversation, monkeypatch):
    monkeypatch.setattr(completion, "MAX_VALUES", 2)
    made = [conversation.post("/conversations", {"title": f"Trip {number}"}, as_=alice).json["id"] for number in range(3)]
    reference = PromptReference(name="continue_conversation")
    found = client(lambda session: session.complete(reference, {"name": "conversation", "value": "trip"}), alice).completion

    assert (found.values, found.has_more) == ([f"Trip 2 [{made[2]}]", f"Trip 1 [{made[1]}]"], True)


@pytest.mark.parametrize(
    ("reference", "name", "typed"),
    [
        (PromptReference(name="unknown"), "document", ""),
        (SUMMARIZE, "other", ""),
        (SUMMARIZE, "document", "x" * 4001),
        (ResourceTemplateReference(uri="parley://documents/{other}"), "id", ""),
        (ResourceTemplateReference(uri="parley://documents/{id}"), "other", ""),
    ],
)
def test_an_argument_that_does_not_exist_cannot_be_completed(client, alice, reference, name, typed):
    assert completed(client, alice, reference, name, typed) == -32602


def test_a_token_completes_only_what_its_scopes_cover(client, alice, document_id):
    person = narrowed(alice, "tools conversations")

    assert completed(client, person, SUMMARIZE, "document", "") == -32602
    assert completed(client, person, ResourceTemplateReference(uri="parley://documents/{id}"), "id", "") == -32602


@pytest.mark.parametrize("params", [{}, {"ref": 7, "argument": []}, {"ref": {"type": "ref/prompt"}, "argument": {"value": 7}}])
def test_a_completion_without_its_parts_is_an_error(served, alice, params):
    message = {"jsonrpc": "2.0", "id": 1, "method": "completion/complete", "params": params}

    assert served.post("/mcp", message, as_=alice).json["error"]["code"] == -32602


def test_a_modern_read_repeats_its_address_in_a_header(served, alice, document_id):
    meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": f"parley://documents/{document_id}", "_meta": meta}}
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "resources/read"}
    statuses = [
        served.post("/mcp", message, as_=alice, headers=headers | {"Mcp-Name": name}).status
        for name in (f"parley://documents/{document_id}", "parley://documents/other")
    ]

    assert statuses == [200, 400]
