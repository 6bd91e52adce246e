"""Other users' documents are never found, even if they match every query's words and vector exactly."""

import os

import pytest

from parley.db import chunks, documents, search
from parley.db.chunks import NewChunk
from parley.db.search import CHUNK_CANDIDATES
from parley.db.transactions import user_scope
from parley.db.vectors import Vector
from parley.ids import new_id

QUERIES = int(os.environ.get("PARLEY_TEST_QUERIES", "500"))
TOPICS = 20
FOREIGN = CHUNK_CANDIDATES + 20


def words(topic):
    return f"where does the heron of valley{topic} nest in season{topic % 7}"


def vector(topic):
    return Vector("m", [1.0, topic / TOPICS, 1 - topic / TOPICS])


def stored(engine, person, texts, vectors, *, is_shared=False):
    """Store a ready document with a chunk for each text; return its id."""
    document_id, named = new_id(), {"title": "t", "filename": "f", "content_type": "text/plain", "bytes": 1, "sha256": None}
    made = [NewChunk(number, "t", text, None, 0, 9) for number, text in enumerate(texts)]
    with user_scope(engine, person.id) as connection:
        documents.add(connection, document_id, user_id=person.id, **named)
        documents.change(connection, document_id, user_id=person.id, changes={"is_shared": is_shared})
        chunks.add(connection, document_id, made, user_id=person.id, is_shared=is_shared)
        chunks.put_vectors(connection, document_id, dict(enumerate(vectors)), user_id=person.id)
        documents.mark_ready(connection, document_id, user_id=person.id, chunks=len(made), note=None)
    return document_id


@pytest.fixture
def own(engine, alice):
    """A document of alice's that matches weakly: one common word and an opposite vector."""
    return stored(engine, alice, ["a heron, once"], [Vector("m", [-1.0, 0.0, 0.0])])


@pytest.fixture
def foreign(engine, bob):
    """More documents of bob's than the candidate list holds, each with every word of its query."""
    everything = " ".join(words(topic) for topic in range(TOPICS))
    of_topics = [stored(engine, bob, [words(topic)] * 2, [vector(topic)] * 2) for topic in range(TOPICS)]
    return [*of_topics, stored(engine, bob, [everything] * FOREIGN, [vector(number % TOPICS) for number in range(FOREIGN)])]


def narrowings(own, foreign, number):
    """Vary the filter: none, all foreign documents, one foreign document, or a foreign and the own document."""
    return [None, foreign, [foreign[number % TOPICS]], [foreign[number % TOPICS], own]][number % 4]


def test_another_users_poisoned_documents_are_never_found_and_displace_nothing(engine, alice, own, foreign):
    seen = []
    with user_scope(engine, alice.id) as connection:
        for number in range(QUERIES):
            topic, only_in = number // 4 % TOPICS, narrowings(own, foreign, number)
            found = search.search_chunks(connection, words(topic), vector(topic), limit=1 + number % 10, only_in=only_in)
            seen.append(({one.document_id for one in found}, {own} if only_in is None or own in only_in else set()))

    assert [number for number, (found, _) in enumerate(seen) if found & set(foreign)] == []
    assert [number for number, (found, due) in enumerate(seen) if not due <= found] == []


def test_a_shared_document_is_found_among_poisoned_ones(engine, alice, bob, foreign):
    shared = stored(engine, bob, [words(1)], [vector(1)], is_shared=True)
    try:
        with user_scope(engine, alice.id) as connection:
            found = search.search_chunks(connection, words(1), vector(1), limit=10)
    finally:
        with user_scope(engine, bob.id) as connection:
            documents.remove(connection, shared, user_id=bob.id)

    assert [one.document_id for one in found][:1] == [shared]
    assert not {one.document_id for one in found} & set(foreign)
