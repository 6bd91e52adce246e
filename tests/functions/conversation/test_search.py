"""Search in the caller's past conversations, over HTTP."""

from datetime import timedelta
from urllib.parse import quote

import pytest

from parley.clock import utc_now
from parley.db.vectors import Vector
from parley.llm.vendors.offline_search import OfflineEmbedder
from tests.support.builders import add_conversation

TEXTS = ("We sailed through a storm at night.", "The recipe needs two onions.", "A quiet harbour in the morning.")


def find(conversation, person, query, **options):
    extra = "".join(f"&{name}={value}" for name, value in options.items())
    answer = conversation.get(f"/conversations/search?q={quote(query)}{extra}", as_=person)
    assert answer.status == 200, answer.body
    return answer.json


@pytest.fixture
def past(engine, alice):
    """Three conversations of Alice, embedded by the tests' catalogue."""
    vectors = OfflineEmbedder(dimensions=16).embed_batch("", TEXTS, purpose="document").vectors
    return [add_conversation(engine, alice, text, vectors=[Vector("lexical", vector)]) for text, vector in zip(TEXTS, vectors, strict=True)]


def test_a_result_names_its_message_and_marks_the_words(conversation, past, alice):
    (found,) = find(conversation, alice, "stormy", mode="text")["items"] or find(conversation, alice, "storm", mode="text")["items"]

    assert (found["conversation_id"], found["seq"], found["title"]) == (str(past[0]), 1, TEXTS[0][:20])
    assert found["snippet"] == "User: We sailed through a <mark>storm</mark> at night."


@pytest.mark.parametrize(("mode", "count"), [("text", 1), ("semantic", 3), ("hybrid", 3)])
def test_the_modes_differ_in_what_they_find(conversation, meaning, past, alice, mode, count):
    found = find(conversation, alice, "storm", mode=mode)

    assert (len(found["items"]), found["mode"]) == (count, mode)
    assert found["items"][0]["conversation_id"] == str(past[0])


def test_only_the_hybrid_mode_counts_both_words_and_meaning(conversation, meaning, past, alice):
    by_meaning, by_both = (find(conversation, alice, "storm", mode=mode)["items"][0]["score"] for mode in ("semantic", "hybrid"))

    assert by_both > by_meaning


@pytest.mark.parametrize("mode", ["semantic", "hybrid"])
def test_without_an_embedding_service_search_falls_back_to_text(conversation, dead, past, alice, mode):
    found = find(conversation, alice, "storm", mode=mode)

    assert (len(found["items"]), found["mode"]) == (1, "text")


def test_pages_show_everything_once(conversation, meaning, past, alice):
    first = find(conversation, alice, "storm", limit=1)
    second = find(conversation, alice, "storm", limit=2, cursor=first["next_cursor"])

    assert {item["conversation_id"] for item in first["items"] + second["items"]} == set(map(str, past))
    assert (len(first["items"]), second["next_cursor"]) == (1, None)


def test_an_exchange_is_found_once_by_its_best_passage(conversation, engine, alice):
    add_conversation(engine, alice, "a storm", "a storm, storm and nothing else than storm", "another storm")

    assert [item["seq"] for item in sorted(find(conversation, alice, "storm")["items"], key=lambda item: item["seq"])] in ([1, 3], [2, 3])


def test_other_users_conversations_are_not_found(conversation, meaning, past, bob):
    assert find(conversation, bob, "storm")["items"] == []


def test_a_deleted_conversation_is_not_found(conversation, meaning, past, alice):
    conversation.delete(f"/conversations/{past[0]}", as_=alice)

    assert str(past[0]) not in [item["conversation_id"] for item in find(conversation, alice, "storm")["items"]]


@pytest.mark.parametrize("query", ["", "?q=", "?q=storm&mode=magic", "?q=storm&cursor=nonsense", "?q=storm&cursor=WzBd", "?q=%00"])
def test_an_invalid_search_is_422(conversation, alice, query):
    assert conversation.get(f"/conversations/search{query}", as_=alice).status == 422


def test_a_query_of_symbols_finds_nothing(conversation, past, alice):
    assert find(conversation, alice, "'; -- \\ :* & | ! <-> ()", mode="text")["items"] == []


@pytest.mark.parametrize("days", [3, 50, 100])
def test_what_was_said_on_the_named_day_ranks_first(conversation, engine, alice, days):
    by_age = {age: add_conversation(engine, alice, "the boat", day=utc_now() - timedelta(days=age)) for age in (3, 50, 100)}
    found = find(conversation, alice, f"the boat {days} days ago", mode="text")["items"]

    assert [one["conversation_id"] for one in found][:1] == [str(by_age[days])]
    assert len(found) == len(by_age)
