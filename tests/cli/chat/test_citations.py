"""Answers from documents: the selection of documents, and the list of cited sources."""

import pytest

from cli.chat.turn_view import cited_sources
from cli.json_fields import Fields
from tests.cli import replies
from tests.cli.document_replies import DOCUMENT_ID, OTHER_ID, READY, documents_page
from tests.cli.terminal import PROMPT


def source(number, **more):
    fields = {
        "number": number,
        "document_id": DOCUMENT_ID,
        "title": f"Book {number}",
        "chunk_id": OTHER_ID,
        "page": None,
        "snippet": "30 days.",
    }
    return ("source", fields | more)


ANSWER = (source(1, page=3), source(2), ("text.delta", {"text": "You have 30 days [1"}), ("text.delta", {"text": "]."}))


def test_an_answer_is_followed_by_its_cited_sources(server, alice, parley):
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, *ANSWER, replies.TURN_COMPLETED))

    result = parley("chat", "--documents", "How many days?")

    assert result.stdout == "You have 30 days [1].\n\n[1] Book 1, page 3: 30 days.\n"
    assert server.requests[0].body["documents"] is True


def test_a_question_can_name_some_documents(server, alice, parley):
    server.on("GET /documents", documents_page(READY))
    server.on("POST /chat", replies.answer("Yes."))
    parley("chat", "Is it?", "--document", "0000aaaa", "--document", OTHER_ID)

    assert server.requests[-1].body["documents"] == [DOCUMENT_ID, OTHER_ID]


def test_documents_and_document_cannot_be_combined(alice, parley):
    assert parley("chat", "Hi", "--documents", "--document", DOCUMENT_ID).exit_code == 2


def test_json_output_can_use_documents_too(server, alice, parley):
    server.on("POST /chat", replies.reply(200, {"turn_id": "t-1"}))
    parley("chat", "Hi", "--documents", "--json")

    assert server.requests[0].body == {"message": "Hi", "stream": False, "documents": True}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("One [1] and [1, 3].", ["[1]", "[3]"]),
        ("A link [1](https://example.com), `x[2]`, \\[1] and\n[3]: there", []),
        ("```\nx[1]\n```\nbut [2].", ["[2]"]),
        ("```\nnever closed [1]", []),
        ("No such source [9], [0] or [12345].", []),
    ],
)
def test_cited_numbers_of_a_text(text, numbers):
    sources = [Fields(source(number)[1]) for number in (1, 2, 3)]

    assert [line.partition(" ")[0] for line in cited_sources(text, sources)] == numbers


def test_the_interactive_chat_selects_documents_with_a_command(server, alice, terminal):
    server.on("GET /documents", documents_page(READY))
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, *ANSWER, replies.TURN_COMPLETED))
    person = terminal("chat")
    for typed, shown in (
        ("/documents", "Documents: none"),
        ("/documents 0000aaaa", "Documents: 0000aaaa"),
        ("/documents all", "Documents: all"),
        ("How many?", "[1] Book 1, page 3: 30 days."),
    ):
        person.expect(PROMPT)
        person.type(f"{typed}\n")
        person.expect(shown)

    assert server.requests[-1].body["documents"] is True
