"""A handbook is uploaded, ingested and queried, and the answer cites the page of its source."""

import pytest

from tests.e2e.test_memory import exported, memories, say
from tests.e2e.test_turns import text_of
from tests.support import document_files
from tests.support.time_limits import wait_until

PAGES = [
    "Everybody has thirty days of leave a year, and two more after ten years.",
    "Trains are paid for in second class. Whoever flies asks first.",
    "The code of the safe is 4711. Whoever changes it tells the treasurer.",
    "The kitchen is cleaned on Fridays by whoever was last on time.",
]
LEAVE, VACATION = "Annual leave: every employee has 28 per year.", "how many vacation days do I get?"
QUESTION = "What is the code of the safe?"


def uploaded(client, content, *, filename="handbook.pdf"):
    """Upload a file and wait until it is ready; return its id."""
    answer = client._http.post("/documents", headers=client.headers, files={"file": (filename, content, "application/pdf")})
    assert answer.status_code == 202, answer.text
    document_id = answer.json()["id"]
    assert wait_until(lambda: client.get(f"/documents/{document_id}").json()["status"] == "ready")
    return document_id


def sources(events):
    return [data for _, name, data in events if name == "source"]


@pytest.fixture
def handbook(ada):
    return uploaded(ada, document_files.pdf(PAGES))


def test_an_answer_from_page_three_cites_it_and_leads_to_its_text(stack, ada, handbook):
    events, conversation_id = say(ada, QUESTION, documents=True)
    first = sources(events)[0]
    chunks = ada.get(f"/documents/{handbook}/chunks").json()["items"]
    cited = [part for part in ada.messages(conversation_id)[-1]["parts"] if part["type"] == "source"]

    assert (first["number"], first["page"], first["title"], first["document_id"]) == (1, 3, "handbook", handbook)
    assert "4711. Whoever changes it tells the treasurer.” [1]" in text_of(events)
    assert ["4711" in chunk["text"] for chunk in chunks if chunk["chunk_id"] == first["chunk_id"]] == [True]
    assert cited[0] == {"type": "source"} | first
    assert cited[0] in exported(ada, "messages")[-1]["parts"]


def test_a_document_that_says_it_in_other_words_answers_without_a_key(keyless_stack):
    ada = keyless_stack.register()
    say(ada, "I am allergic to nuts", model="best")
    assert wait_until(lambda: memories(ada).keys())
    uploaded(ada, LEAVE.encode(), filename="handbook.txt")
    answers = [say(ada, VACATION, model="best", documents=True, incognito=is_incognito)[0] for is_incognito in (False, True)]

    assert [text_of(events) for events in answers] == [f"The documents say:\n\n“{LEAVE}” [1]"] * 2


def test_nobody_else_is_answered_from_it(stack, ada, handbook):
    eve = stack.register()
    events, _ = say(eve, QUESTION, documents=True)
    refused = eve.post("/chat", {"message": QUESTION, "documents": [handbook]})

    assert (sources(events), "4711" in text_of(events)) == ([], False)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


def test_a_deleted_document_answers_nothing_more_and_what_was_said_stays(ada, handbook):
    before, conversation_id = say(ada, QUESTION, documents=[handbook])
    assert ada.delete(f"/documents/{handbook}").status_code == 204
    after, _ = say(ada, QUESTION, documents=True)

    assert (len(sources(before)) > 0, sources(after)) == (True, [])
    assert "4711" in ada.messages(conversation_id)[-1]["text"]
