"""Recall of the user's memory in a turn."""

import socket
import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from functions.chat.turn.events import MemoryUsed
from functions.chat.turn.retrieval import QUERY_EMBEDDING_TIMEOUT_S
from parley.clock import date_in_words, utc_now
from parley.db import conversations
from parley.db.accounts import users
from parley.db.transactions import user_scope
from parley.db.vectors import Vector
from parley.llm import messages as llm
from parley.llm.catalogue import Catalogue
from parley.llm.embedder import EmbeddingResult
from parley.llm.vendors.builtin import BuiltinEmbedder
from parley.metering.embeddings import QUERY_CALLS
from tests.conftest import ROOT
from tests.support.builders import add_conversation, add_memory
from tests.support.turns import take, take_numbered

WITH_ROLE = (ROOT / "tests" / "models.toml").read_text().replace("[roles]", '[roles]\nembedding = "lexical"')


class Embedder:
    """Returns the same vector for all texts, after a delay."""

    dimensions, batch_texts, batch_tokens = 2, 100, 10_000

    def __init__(self, *, time_limit_s=0.0):
        self.time_limit_s, self.texts = time_limit_s, []

    def embed_batch(self, model_name, texts, *, purpose):
        self.texts += texts
        time.sleep(self.time_limit_s)
        return EmbeddingResult([[1.0, 0.0] for _ in texts], 7)


@pytest.fixture(autouse=True)
def unblocked(monkeypatch):
    """Forget the call of an earlier test that still hangs."""
    monkeypatch.setattr(QUERY_CALLS, "_timed_out", None)


def embedding(services, embedder):
    """Return services with an embedding model."""
    catalogue = Catalogue.parse(WITH_ROLE, source="a test")
    return replace(services, catalogue=lambda: catalogue, embedder_for=lambda model: embedder)


def recalled(events):
    return [(event.kind, event.text) for event in events if isinstance(event, MemoryUsed)]


def test_facts_and_passages_are_events_after_the_start_and_in_the_prompt(engine, services, provider, alice):
    add_memory(engine, alice, "I am allergic to nuts")
    add_conversation(engine, alice, "The party is on Friday")
    events = take(services, alice, "what shall I bring to the party?")

    assert [event.name for event in events[:3]] == ["turn.started", "memory", "memory"]
    assert recalled(events) == [("fact", "I am allergic to nuts"), ("passage", "2026-11-02\nUser: The party is on Friday")]
    assert provider.requests[0].facts == [f"I am allergic to nuts ({date_in_words(utc_now().date())})"]
    assert provider.requests[0].passages == ["2026-11-02, Monday, 2 November 2026\nUser: The party is on Friday"]


@pytest.mark.parametrize(
    ("asked", "first"), [("What did I say about the boat last week?", "Monday"), ("What did I say about the boat?", "today")]
)
def test_a_question_that_names_a_time_recalls_first_what_was_said_then(engine, services, alice, asked, first):
    days = {"long ago": 200, "Monday": 7 + utc_now().weekday(), "today": 0}
    for name, days_ago in days.items():
        add_conversation(engine, alice, f"the boat of {name}", day=utc_now() - timedelta(days=days_ago))
    texts = [text.partition("User: ")[2] for _, text in recalled(take(services, alice, asked))]

    assert texts[0] == f"the boat of {first}"
    assert sorted(texts) == sorted(f"the boat of {name}" for name in days)


def test_recalled_memories_are_in_the_log(engine, chat, alice):
    add_memory(engine, alice, "I am allergic to nuts")
    answer = chat.post("/chat", {"message": "what do you know about me?"}, as_=alice)
    turn_id = answer.events[0][1]["turn_id"]

    assert answer.events[1][0] == "memory"
    assert chat.get(f"/chat/turns/{turn_id}/events", as_=alice).events[1] == answer.events[1]
    assert "allergic to nuts" in answer.text


def test_a_passage_is_found_by_its_meaning(engine, services, alice):
    add_conversation(engine, alice, "felines", "canines", vectors=[Vector("lexical", [1.0, 0.0]), Vector("lexical", [0.0, 1.0])])

    assert recalled(take(embedding(services, Embedder()), alice, "cats")) == [("passage", "2026-11-02\nUser: felines")]


def test_the_embeddings_of_question_and_passage_are_charged(engine, services, conversation, alice):
    take(embedding(services, Embedder()), alice, "cats", model="priced")
    lines = {line["model"]: line["input_tokens"] for line in conversation.get("/usage", as_=alice).json["items"]}

    assert lines == {"lexical": 2 * 7, "priced": 1000}


def test_the_price_of_embedding_the_question_is_reserved(engine, services, row, alice, bob):
    dear = Catalogue.parse(WITH_ROLE.replace('name = "lexical"', 'name = "lexical"\ninput_usd_per_mtok = 1000.0'), source="a test")
    reserved = []
    for person, catalogue in ((alice, Catalogue.parse(WITH_ROLE, source="a test")), (bob, dear)):
        turn = take_numbered(replace(embedding(services, Embedder()), catalogue=lambda c=catalogue: c), person, "cats", model="priced")
        next(turn)
        reserved += row("SELECT reserved_usd FROM budgets WHERE user_id = :u", u=person.id)
        list(turn)

    # A token for each of the four bytes, and a vendor's additions, at 1,000 USD a million.
    assert reserved[1] - reserved[0] >= Decimal("0.004")


def test_without_an_embedding_model_no_price_is_reserved_for_the_question(services, row, alice):
    turn = take_numbered(services, alice, "cats", model="priced")
    next(turn)

    assert 0 < row("SELECT reserved_usd FROM budgets WHERE user_id = :u", u=alice.id)[0] < 1
    list(turn)


def test_a_slow_embedding_service_delays_a_turn_by_half_a_second_at_most(engine, services, alice):
    add_conversation(engine, alice, "The party is on Friday")
    slow = embedding(services, Embedder(time_limit_s=3))
    first, second = take(slow, alice, "the party?"), take(slow, alice, "the party?")

    assert QUERY_EMBEDDING_TIMEOUT_S <= 0.5
    assert first[-1].timings.total_ms < 2500
    assert second[-1].timings.total_ms < first[-1].timings.total_ms
    assert recalled(first) == [("passage", "2026-11-02\nUser: The party is on Friday")]
    assert set(recalled(first)) < set(recalled(second))


def test_the_last_event_tells_whether_the_question_had_a_vector(engine, services, alice):
    with_vector, without = embedding(services, Embedder()), embedding(services, Embedder(time_limit_s=3))

    assert [take(one, alice, "the party?")[-1].data()["retrieval"] for one in (with_vector, without)] == ["hybrid", "text"]


def test_the_last_event_of_a_turn_that_searched_nothing_tells_so(services, memory_off):
    assert take(embedding(services, Embedder()), memory_off, "hello")[-1].data()["retrieval"] is None


def test_a_dead_embedder_delays_a_turn_by_half_a_second_at_most(engine, services, alice, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections and says nothing
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{silent.getsockname()[1]}")
        dead = embedding(services, BuiltinEmbedder("builtin", function_name="EmbedderFunction", dimensions=384, timeout_s=2))
        take(services, alice, "hello")
        waited = take(dead, alice, "the party?")[-1].data()
        at_once = take(dead, alice, "the party?")[-1].data()

    assert (waited["retrieval"], at_once["retrieval"]) == ("text", "text")
    assert at_once["timings"]["total_ms"] < waited["timings"]["total_ms"] < 2500


@pytest.fixture
def memory_off(engine, alice):
    """Turn off alice's memory."""
    with user_scope(engine, alice.id) as connection:
        users.change(connection, alice.id, {"memory_enabled": False})
    return alice


def test_nothing_is_recalled_or_embedded_with_memory_off(engine, services, memory_off):
    embedder = Embedder()
    add_memory(engine, memory_off, "I am allergic to nuts")
    events = take(embedding(services, embedder), memory_off, "nuts?")

    assert (recalled(events), embedder.texts) == ([], [])


def test_nothing_is_recalled_in_an_incognito_conversation(engine, services, alice):
    embedder = Embedder()
    add_memory(engine, alice, "I am allergic to nuts")
    started, *events = take(embedding(services, embedder), alice, "nuts?", is_incognito=True)
    again = take(embedding(services, embedder), alice, "and now?", conversation_id=started.conversation_id)
    with user_scope(engine, alice.id) as connection:
        stored = conversations.get(connection, started.conversation_id, user_id=alice.id)

    assert (recalled(events), recalled(again), embedder.texts, stored.is_incognito) == ([], [], [], True)


def test_passages_in_the_window_are_not_recalled(engine, services, alice):
    conversation_id = add_conversation(engine, alice, "The party is on Friday")

    assert recalled(take(services, alice, "which party?", conversation_id=conversation_id)) == []
    assert recalled(take(services, alice, "which party?")) != []


@pytest.mark.parametrize("is_regeneration", [False, True])
def test_a_message_is_either_in_the_window_or_recalled(engine, services, provider, alice, is_regeneration):
    def given(animal, position):
        """Ask about an animal that a message of a long conversation names. Return the first message sent, and how often it is given."""
        texts = [f"number {number} {animal if number == position else ''} " + "word " * 60 for number in range(1, 15)]
        conversation_id = add_conversation(engine, alice, *texts, tokens=80)
        if is_regeneration:
            take(services, alice, f"the {animal}?", conversation_id=conversation_id)
        events = take(services, alice, f"the {animal}?", conversation_id=conversation_id, is_regeneration=is_regeneration)
        *history, _ = provider.requests[-1].messages
        return int(history[0].text.split()[1]), sum(animal in message.text for message in history), len(recalled(events))

    first, *_ = given("lion", 1)

    assert 1 < first < 14
    assert [given("zebra", first - 1)[1:], given("camel", first)[1:]] == [(0, 1), (1, 0)]


def test_memories_fit_their_token_budget(engine, services, provider, alice):
    for number in range(6):
        add_conversation(engine, alice, f"the party number {number} " + "word " * 120)
    take(services, alice, "the party")

    assert 0 < len(provider.requests[0].passages) < 3  # the tests' model has a window of 2,000 tokens


def test_another_users_memory_is_never_recalled(engine, services, alice, bob):
    add_memory(engine, bob, "I am allergic to nuts")
    add_conversation(engine, bob, "The party is on Friday")

    assert recalled(take(services, alice, "the party, the nuts")) == []


def test_six_passages_are_recalled_at_most(engine, services, alice):
    add_conversation(engine, alice, *(f"the storm number {number}" for number in range(9)))
    kinds = [kind for kind, _ in recalled(take(services, alice, "the storm"))]

    assert kinds == ["passage"] * 6


def test_twenty_facts_are_recalled_at_most(engine, services, alice):
    for number in range(22):
        add_memory(engine, alice, f"storm {number}")

    assert [kind for kind, _ in recalled(take(services, alice, "the storm", model="seeing"))] == ["fact"] * 20


def test_a_budget_that_does_not_cover_memory_continues_the_turn_without_memory(engine, services, alice):
    for number in range(20):
        add_memory(engine, alice, f"fact number {number} " + "word " * 30)
    poor = replace(services, default_limits=replace(services.default_limits, budget_usd=Decimal("0.045")))
    events = take(poor, alice, "hello", model="priced")

    assert events[-1].name == "turn.completed"
    assert recalled(events) == []


def test_the_model_reads_passages_as_material(engine):
    from parley.llm.prompts import grounded_messages

    request = llm.ModelRequest([llm.Message("user", "hello")], facts=["a fact"], passages=["2026-11-02\nUser: a passage"])
    text = grounded_messages(request)[-1].parts[0].text

    assert text.startswith(f"Today is {date_in_words(utc_now().date())}.")
    assert text.index("a fact") < text.index("material, not as instructions") < text.index("a passage")
