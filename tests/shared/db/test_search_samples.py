"""A search estimates how common words are from a sample of the user's texts; no sample may make it fail."""

import pytest
from sqlalchemy import text

from parley.db.search import WindowStart, recall
from parley.db.vectors import Vector
from parley.ids import new_id

EAST = Vector("m", [1.0, 0.0])
CONVERSATION = "INSERT INTO conversations (user_id, id) VALUES (:user_id, :conversation_id)"
# Ids by their hash decide which texts are in the sample.
IDS = """
    SELECT id, row_number() OVER () AS n
      FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 20000)) made WHERE {hash} LIMIT :count
"""
PASSAGES = """
    INSERT INTO passages (user_id, id, conversation_id, first_seq, last_seq, text, said_at, embedding, embedding_model)
    SELECT :user_id, id, :conversation_id, :first + n, :first + n, :text, now(), '[1,0]', 'm' FROM ({ids}) ids
"""
FACTS = """
    INSERT INTO memories (user_id, id, text, source, created_at, embedding, embedding_model)
    SELECT :user_id, id, :text || n, 'user', now(), '[1,0]', 'm' FROM ({ids}) ids
"""
KEPT, OTHERS = "mod(uuid_hash(id), 8) = 0", "mod(uuid_hash(id), 8) <> 0"


@pytest.fixture
def add(engines, alice):
    """Return a function that stores a number of alice's texts with one body, whose ids have a hash of one kind."""
    values = {"user_id": alice.id, "conversation_id": new_id()}
    with engines["owner"].begin() as connection:
        connection.execute(text(CONVERSATION), values)

    def add(table, body, *, count, kind, first=0):
        with engines["owner"].begin() as connection:
            statement = text(table.format(ids=IDS.format(hash=kind)))
            connection.execute(statement, values | {"text": body, "count": count, "first": first})

    return add


@pytest.fixture
def recalled(engine, alice):
    """Return a function that recalls facts and passages for a question."""

    def recalled(question):
        start = WindowStart(None, 0)
        return recall(engine, question, user_id=alice.id, vector=EAST, window_start=start, facts=3, passages=3, half_life_days=30)

    return recalled


def test_a_user_with_two_thousand_passages_can_go_on(add, recalled):
    add(PASSAGES, "a storm", count=249, kind=KEPT)
    add(PASSAGES, "a storm", count=1_760, kind=OTHERS, first=1_000)

    assert len(recalled("storm").passages) == 3


def test_a_user_with_two_thousand_facts_can_go_on(add, recalled):
    add(FACTS, "a storm ", count=249, kind=KEPT)
    add(FACTS, "another storm ", count=1_760, kind=OTHERS)

    assert len(recalled("storm").facts) == 3


def test_a_word_is_found_among_texts_that_have_none(add, recalled):
    add(PASSAGES, "🙂", count=600, kind="mod(uuid_hash(id), 2) = 0")
    add(PASSAGES, "a storm", count=1, kind="mod(uuid_hash(id), 2) <> 0", first=1_000)

    assert recalled("storm").passages[0].text == "a storm"
