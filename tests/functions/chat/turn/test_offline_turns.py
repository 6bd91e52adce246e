"""Turns that the offline model answers from the user's documents and facts."""

import math

import pytest

from functions.chat.turn.events import AnswerDelta, SourceGiven
from parley.llm.vendors.offline import OfflineProvider
from parley.metering.embeddings import QUERY_CALLS
from tests.functions.chat.turn.test_recall import Embedder, embedding
from tests.support.builders import add_document, add_memory
from tests.support.turns import make_services, stored_messages, take

LEAVE = "Annual leave: every employee has 28 per year."
QUESTION = "how many vacation days do I get?"
# The direction of the question's vector, and one that is unlike it.
NEAR, FAR = [1.0, 0.0], [0.0, 1.0]


@pytest.fixture
def services(engine, monkeypatch):
    """Return services of the offline model, with an embedding model."""
    monkeypatch.setattr(QUERY_CALLS, "_timed_out", None)
    return embedding(make_services(engine, OfflineProvider()), Embedder())


@pytest.fixture
def handbook(engine, alice):
    return add_document(engine, alice, "Trains go second class.", LEAVE, vectors=[FAR, NEAR])


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, AnswerDelta))


@pytest.mark.parametrize("options", [{}, {"is_incognito": True}])
def test_a_document_with_other_words_answers_and_is_cited(engine, services, alice, handbook, options):
    add_memory(engine, alice, "I am allergic to nuts")
    started, *events = take(services, alice, QUESTION, documents=True, **options)
    cited = [part["number"] for part in stored_messages(engine, alice, started.conversation_id)[-1].parts if part["type"] == "source"]

    assert text_of(events) == f"The documents say:\n\n“{LEAVE}” [1]"
    assert ([event.number for event in events if isinstance(event, SourceGiven)], cited) == ([1], [1])


@pytest.mark.parametrize(("similarity", "is_source"), [(0.3, True), (0.2, False)])
def test_a_chunk_is_a_source_if_it_is_as_similar_as_texts_in_other_words_are(engine, services, alice, similarity, is_source):
    add_document(engine, alice, LEAVE, vectors=[[similarity, math.sqrt(1 - similarity**2)]])
    events = take(services, alice, QUESTION, documents=True)

    assert (f"“{LEAVE}” [1]" in text_of(events)) == is_source


def test_without_a_matching_document_the_facts_answer(engine, services, alice):
    add_document(engine, alice, "Trains go second class.", vectors=[FAR])
    add_memory(engine, alice, "I am allergic to nuts")
    events = take(services, alice, "what should I avoid eating?", documents=True)

    assert "I am allergic to nuts" in text_of(events)
    assert "documents say" not in text_of(events)
