"""Other users' documents are never found, even if they match every query's words and vector exactly."""

import os

import pytest
from sqlalchemy import insert, text

from parley.db import chunks, documents
from parley.db.chunks import CHUNK_CANDIDATES, NewChunk, search_chunks
from parley.db.groups import membership, shares
from parley.db.tables import document_shares
from parley.db.transactions import user_scope
from parley.db.vectors import Vector
from parley.ids import new_id
from tests.support.api_gateway import Person

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
        documents.mark_ready(connection, document_id, user_id=person.id, held_until=None, chunks=len(made), note=None)
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
            found = search_chunks(connection, words(topic), vector(topic), limit=1 + number % 10, only_in=only_in)
            seen.append(({one.document_id for one in found}, {own} if only_in is None or own in only_in else set()))

    assert [number for number, (found, _) in enumerate(seen) if found & set(foreign)] == []
    assert [number for number, (found, due) in enumerate(seen) if not due <= found] == []


def test_a_shared_document_is_found_among_poisoned_ones(engine, alice, bob, foreign):
    shared = stored(engine, bob, [words(1)], [vector(1)], is_shared=True)
    try:
        with user_scope(engine, alice.id) as connection:
            found = search_chunks(connection, words(1), vector(1), limit=10)
    finally:
        with user_scope(engine, bob.id) as connection:
            documents.remove(connection, shared, user_id=bob.id)

    assert [one.document_id for one in found][:1] == [shared]
    assert not {one.document_id for one in found} & set(foreign)


# Ten thousand chunks, written by one statement. Their words and vectors are those of the query.
POISON = text(
    """
    INSERT INTO chunks (user_id, document_id, number, id, heading, text, start, tokens, embedding, embedding_model)
    SELECT :user_id, :document_id, n, gen_random_uuid(), 't', CAST(:text AS text), 0, 9, CAST(:vector AS halfvec), 'm'
      FROM generate_series(1, 10000) n
    """
)


def group_of(engine, owner, *members):
    """Store a group of these people and return its id."""
    group_id = new_id()
    with user_scope(engine, owner.id) as connection:
        membership.add(connection, group_id, user_id=owner.id, name="g")
        for member in members:
            membership.invite(connection, group_id, member.email)
    for member in members:
        with user_scope(engine, member.id) as connection:
            membership.join(connection, group_id, member.email, user_id=member.id)
    return group_id


@pytest.fixture
def other_group(auth, engine, engines, bob):
    """A group of bob's and a stranger's, with which bob shares a document of 10,000 chunks that match every word and the vector."""
    document_id, group_id = stored(engine, bob, [words(1)], [vector(1)]), group_of(engine, bob, Person.registered(auth))
    with engines["owner"].begin() as connection:
        values = {"user_id": bob.id, "document_id": document_id}
        connection.execute(POISON, values | {"text": words(1), "vector": "[1,0.05,0.95]"})
        connection.execute(text("UPDATE documents SET chunks = 10001 WHERE id = :document_id"), values)
        connection.execute(insert(document_shares).values(values | {"group_id": group_id}))
    return document_id


def test_of_10000_poisoned_chunks_of_another_group_none_is_found(engine, alice, bob, own, other_group):
    group_id, shared = group_of(engine, bob, alice), stored(engine, bob, ["a heron, twice"], [Vector("m", [-1.0, 0.1, 0.0])])
    with user_scope(engine, bob.id) as connection:
        shares.add(connection, shares.DOCUMENTS, shared, group_id, user_id=bob.id)

    for only_in in (None, [other_group], [other_group, own, shared]):
        with user_scope(engine, alice.id) as connection:
            found = search_chunks(connection, words(1), vector(1), limit=100, only_in=only_in)
        assert {one.document_id for one in found} == {own, shared} - ({own, shared} if only_in == [other_group] else set())


def test_the_members_of_a_group_find_what_is_shared_with_it_and_nothing_else_of_its_owner(engine, alice, bob, own, foreign):
    group_id = group_of(engine, bob, alice)
    with user_scope(engine, bob.id) as connection:
        shares.add(connection, shares.DOCUMENTS, foreign[3], group_id, user_id=bob.id)

    for topic in range(TOPICS):
        with user_scope(engine, alice.id) as connection:
            found = search_chunks(connection, words(topic), vector(topic), limit=100)
        assert {one.document_id for one in found} == {own, foreign[3]}
