"""Passages of turns: found by words when the turn has ended, and by meaning moments later."""

import time
from dataclasses import replace

import pytest
from sqlalchemy import text

from functions.chat.turn.begin import begin_turn
from functions.chat.turn.question import Question
from parley.db.search import search_passages
from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.llm import messages as llm
from parley.llm.catalogue import Catalogue
from parley.llm.embedder import EmbeddingResult
from parley.llm.errors import ProviderFailed
from parley.metering import passage_vectors
from parley.metering.embeddings import QUERY_CALLS
from parley.turn_recovery import interrupt_if_stale
from tests.conftest import ROOT
from tests.support.turns import HELLO, ScriptedProvider, events_of, make_services, take, take_numbered

WITH_ROLE = (ROOT / "tests" / "models.toml").read_text().replace("[roles]", '[roles]\nembedding = "lexical"')


class Embedder:
    """Returns the same vector for all texts, or fails for passages, after a delay."""

    dimensions, batch_texts, batch_tokens = 2, 100, 10_000

    def __init__(self, *, delay_s=0.0, query_delay_s=0.0, error=None):
        self.delays_s, self.error, self.texts = {"document": delay_s, "query": query_delay_s}, error, []

    def embed_batch(self, model_name, texts, *, purpose):
        self.texts += [(purpose, text) for text in texts]
        time.sleep(self.delays_s[purpose])
        if self.error and purpose == "document":
            raise self.error
        return EmbeddingResult([[1.0, 0.0] for _ in texts], 7)


def services_with(engine, script=HELLO, embedder=None):
    catalogue = Catalogue.parse(WITH_ROLE, source="a test")
    embedder = embedder or Embedder()
    return replace(make_services(engine, ScriptedProvider(script)), catalogue=lambda: catalogue, embedder_for=lambda model: embedder)


@pytest.fixture
def rows(engines):
    def rows(sql, **values):
        with engines["owner"].begin() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]

    return rows


@pytest.fixture
def passages(rows, alice):
    """Return alice's passages as (first, last, text without the day, model)."""

    def passages():
        found = rows("SELECT first_seq, last_seq, text, embedding_model FROM passages WHERE user_id = :id ORDER BY first_seq", id=alice.id)
        return [(first, last, body.partition("\n")[2], model) for first, last, body, model in found]

    return passages


def test_a_turn_is_found_by_its_words_before_the_client_has_its_last_event(engine, alice):
    found = []

    def look():
        with user_scope(engine, alice.id) as connection:
            found.extend(search_passages(connection, "nuts", user_id=alice.id, vector=None, limit=5))

    for event in events_of(take_numbered(services_with(engine), alice, "I am allergic to nuts")):
        if event.name == "turn.completed":
            look()

    assert [passage.text.partition("\n")[2] for passage in found] == ["User: I am allergic to nuts\nAssistant: Hello"]


def test_a_turn_has_vectors_when_its_worker_is_free_again(engine, passages, alice):
    embedder = Embedder()
    take(services_with(engine, embedder=embedder), alice, "I am allergic to nuts")

    assert [model for *_, model in passages()] == ["lexical"]
    assert embedder.texts[-1][0] == "document"


def test_a_turn_whose_question_had_its_vector_too_late_is_found_by_its_meaning_at_once(engine, passages, alice):
    events = take(services_with(engine, embedder=Embedder(query_delay_s=0.9)), alice, "I am allergic to nuts")

    assert events[-1].data()["retrieval"] == "text"
    assert [model for *_, model in passages()] == ["lexical"]


def test_without_an_embedding_service_a_turn_ends_and_is_found_by_words(engine, passages, alice):
    events = take(services_with(engine, embedder=Embedder(error=ProviderFailed("lexical", "away"))), alice, "I am allergic to nuts")

    assert events[-1].name == "turn.completed"
    assert [model for *_, model in passages()] == [None]


def test_a_hanging_embedding_service_holds_a_worker_for_a_limited_time(engine, passages, monkeypatch, alice):
    monkeypatch.setattr(passage_vectors, "PASSAGES_TIMEOUT_S", 0.2)
    embedder = Embedder(delay_s=3.0)
    began_s = time.monotonic()
    take(services_with(engine, embedder=embedder), alice, "one")
    first_s = time.monotonic() - began_s
    take(services_with(engine, embedder=embedder), alice, "two")

    assert first_s < 2.5
    assert sum(purpose == "document" for purpose, _ in embedder.texts) == 1
    assert [model for *_, model in passages()] == [None, None]
    QUERY_CALLS._timed_out._thread.join()


def test_an_incognito_turn_has_no_passages_and_is_not_embedded(engine, passages, alice):
    embedder = Embedder()
    take(services_with(engine, embedder=embedder), alice, "I am allergic to nuts", is_incognito=True)

    assert (passages(), embedder.texts) == ([], [])


def test_a_turn_without_an_answer_has_no_passages(engine, passages, alice):
    take(services_with(engine, [ProviderFailed("acme", "away")]), alice, "hello")

    assert passages() == []


def test_a_regenerated_answer_replaces_the_passages_of_the_earlier_one(engine, passages, alice):
    started, *_ = take(services_with(engine), alice, "first")
    take(services_with(engine), alice, "second", conversation_id=started.conversation_id)
    better = [llm.TextDelta("Better"), llm.Finished("stop")]
    take(services_with(engine, better), alice, conversation_id=started.conversation_id, is_regeneration=True)

    assert passages() == [(1, 2, "User: first\nAssistant: Hello", "lexical"), (3, 4, "User: second\nAssistant: Better", "lexical")]


def test_a_passage_of_an_older_release_is_extracted_again_after_a_regeneration(engine, passages, rows, alice):
    started, *_ = take(services_with(engine), alice, "first")
    take(services_with(engine), alice, "second", conversation_id=started.conversation_id)
    spanning = "UPDATE passages SET first_seq = 1 WHERE user_id = :id AND first_seq = 3 RETURNING id"
    rows("DELETE FROM passages WHERE user_id = :id AND first_seq = 1 RETURNING id", id=alice.id)
    rows(spanning, id=alice.id)
    rows("UPDATE conversations SET mined_upto_seq = 4 WHERE user_id = :id RETURNING id", id=alice.id)
    take(services_with(engine), alice, conversation_id=started.conversation_id, is_regeneration=True)

    assert [(first, last) for first, last, *_ in passages()] == [(3, 4)]
    assert rows("SELECT mined_upto_seq FROM conversations WHERE user_id = :id", id=alice.id) == [(0,)]


def test_a_turn_whose_function_died_is_found_by_its_words(engine, passages, rows, alice):
    question = Question("I am allergic to nuts")
    turn_id = begin_turn(
        services_with(engine), alice.principal, question, deadline=Deadline.after(60), idempotency_key=None, joins=False
    ).id
    rows("UPDATE turns SET heartbeat_at = now() - interval '1 hour' WHERE id = :id RETURNING id", id=turn_id)
    logged = "INSERT INTO turn_events (user_id, turn_id, number, name, data) VALUES (:user_id, :id, 50, 'text.delta', :data) RETURNING 1"
    rows(logged, user_id=alice.id, id=turn_id, data='{"texts": ["half"]}')

    assert interrupt_if_stale(engine, turn_id, user_id=alice.id)
    assert [(first, last, body) for first, last, body, _ in passages()] == [(1, 2, "User: I am allergic to nuts\nAssistant: half")]
