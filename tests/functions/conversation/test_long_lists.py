"""Lists of long items: every page fits into a response, and the pages together show every item once."""

from itertools import islice

import pytest

from parley.db import conversations, messages
from parley.db.transactions import user_scope
from parley.http.paging import PAGE_BYTES
from parley.ids import new_id
from parley.llm.messages import Usage
from parley.llm.model import Model, ModelCall
from parley.metering import limits
from parley.metering.limits import BillingSubject

LONG = "wörd " * 150_000  # 750,000 characters in 900 KB


def pages(conversation, person, path):
    cursor = ""
    while cursor is not None:
        page = conversation.get(f"{path}{cursor and '&cursor=' + cursor}", as_=person)
        assert page.status == 200, page.body
        yield page
        cursor = page.json["next_cursor"]


def shown(found, field):
    return [item[field] for page in found for item in page.json["items"]]


@pytest.fixture
def long_conversation(engine, alice):
    """A conversation of six long questions, each with a short answer."""
    with user_scope(engine, alice.id) as connection:
        conversation_id = conversations.add(connection, new_id(), user_id=alice.id).id
        for text in [LONG, "ok"] * 6:
            parts = [{"type": "text", "text": text}]
            messages.add(connection, new_id(), user_id=alice.id, conversation_id=conversation_id, role="user", parts=parts, tokens=1)
    return conversation_id


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_list_of_long_messages_comes_in_pages_that_fit(conversation, alice, long_conversation, order):
    found = list(pages(conversation, alice, f"/conversations/{long_conversation}/messages?order={order}"))

    assert shown(found, "seq") == sorted(range(1, 13), reverse=order == "desc")
    assert max(len(page.body) for page in found) <= PAGE_BYTES + 1000


def test_a_long_text_is_sent_once_and_its_part_says_where_it_is(conversation, alice, long_conversation):
    message = conversation.get(f"/conversations/{long_conversation}/messages?limit=1", as_=alice).json["items"][0]

    assert message["text"] == LONG
    assert message["parts"] == [{"type": "text", "start": 0, "end": len(LONG)}]


def test_the_database_sends_only_the_messages_that_a_page_shows(engine, conversation, alice, long_conversation):
    with user_scope(engine, alice.id) as connection:
        found = messages.page_within(
            connection, long_conversation, user_id=alice.id, limit=100, max_bytes=PAGE_BYTES, order="asc", after=None, variants=False
        )

    assert ([message.seq for message in found.rows], found.has_more) == ([1, 2], True)


def test_conversations_with_long_system_prompts_come_in_pages_that_fit(conversation, engine, alice):
    with user_scope(engine, alice.id) as connection:
        for number in range(60):
            conversations.add(connection, new_id(), user_id=alice.id, title=str(number), system_prompt="\U0001f98a" * 32_000)
    found = list(pages(conversation, alice, "/conversations?limit=60"))

    assert sorted(map(int, shown(found, "title"))) == list(range(60))
    assert max(len(page.body) for page in found) <= PAGE_BYTES + 1000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/assistants", {"name": "{}"}),
        ("/projects", {"name": "{}"}),
        ("/prompts", {"name": "p{}", "text": "Go."}),
        ("/memories", {"text": "I have {} cats."}),
        ("/schedules", {"prompt": "{}"}),
    ],
)
def test_a_page_of_one_is_followed_by_the_next(conversation, alice, path, body):
    for number in range(2):
        made = conversation.post(path, {name: text.format(number) for name, text in body.items()}, as_=alice)
        assert made.status == 201, made.body
    first, second = islice(pages(conversation, alice, f"{path}?limit=1"), 2)

    # Other users may have shared objects with everybody.
    assert [len(page.json["items"]) for page in (first, second)] == [1, 1]
    assert first.json["items"] != second.json["items"]


@pytest.mark.parametrize(
    ("path", "body", "change"),
    [("/assistants", {"name": "Reader"}, {"instructions": "Be brief."}), ("/prompts", {"name": "trip", "text": "Go."}, {"text": "Stay."})],
)
def test_the_versions_of_an_assistant_or_a_prompt_come_page_by_page(conversation, alice, path, body, change):
    id = conversation.post(path, body, as_=alice).json["id"]
    conversation.patch(f"{path}/{id}", change, as_=alice)

    assert shown(pages(conversation, alice, f"{path}/{id}/versions?limit=1"), "version") == [2, 1]


def test_the_usage_of_several_models_comes_page_by_page(conversation, engine, alice):
    model = Model(provider="offline", name="m")
    calls = [ModelCall(name, model, usage=Usage(10)) for name in ("large", "small")]
    with user_scope(engine, alice.id) as connection:
        limits.settle(connection, BillingSubject(alice.id), calls, reservations=[])

    assert sorted(shown(pages(conversation, alice, "/usage?limit=1"), "model")) == ["large", "small"]


def test_a_page_of_exactly_all_messages_has_no_cursor(conversation, chat, alice):
    created = chat.post("/chat", {"message": "one", "stream": False}, as_=alice).json["conversation_id"]

    assert conversation.get(f"/conversations/{created}/messages?limit=2", as_=alice).json["next_cursor"] is None
