"""Answers from documents: which may be used, and what is told of those that the answer cites."""

import pytest

from cli.json_fields import Fields
from cli.turn_view import cited_sources
from tests.cli import replies
from tests.cli.document_replies import DOCUMENT_ID, OTHER_ID, READY, documents_page


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


def test_an_answer_shows_what_it_cites_beneath_it(server, alice, parley):
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, *ANSWER, replies.TURN_COMPLETED))

    result = parley("chat", "--documents", "How many days?")

    assert result.stdout == "You have 30 days [1].\n\n[1] Book 1, page 3: 30 days.\n"
    assert server.requests[0].body["documents"] is True


def test_an_answer_can_come_from_some_documents(server, alice, parley):
    server.on("GET /documents", documents_page(READY))
    server.on("POST /chat", replies.answer("Yes."))
    parley("chat", "Is it?", "--document", "0000aaaa", "--document", OTHER_ID)

    assert server.requests[-1].body["documents"] == [DOCUMENT_ID, OTHER_ID]


def test_all_documents_and_some_exclude_each_other(alice, parley):
    assert parley("chat", "Hi", "--documents", "--document", DOCUMENT_ID).exit_code == 2


def test_json_asks_from_documents_too(server, alice, parley):
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
def test_what_a_text_cites(text, numbers):
    sources = [Fields(source(number)[1]) for number in (1, 2, 3)]

    assert [line.partition(" ")[0] for line in cited_sources(text, sources)] == numbers


def test_in_a_talk_documents_are_chosen_by_a_command(server, alice, terminal):
    server.on("GET /documents", documents_page(READY))
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, *ANSWER, replies.TURN_COMPLETED))
    person = terminal("chat")
    for typed, shown in (
        ("/documents", "Documents: none"),
        ("/documents 0000aaaa", "Documents: 0000aaaa"),
        ("/documents all", "Documents: all"),
        ("How many?", "[1] Book 1, page 3: 30 days."),
    ):
        person.expect("> ")
        person.type(f"{typed}\n")
        person.expect(shown)

    assert server.requests[-1].body["documents"] is True
