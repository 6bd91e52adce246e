"""Search reads only its user's rows, by index, however many rows others have. Plans are those of the search role."""

import json
import re

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from parley.db.chunks import search_chunks, with_neighbour
from parley.db.transactions import user_scope
from parley.db.vectors import Vector, vector_parameters
from parley.ids import new_id

VALUES = {"query": "'word7 thing'::text", "vector": "'[1,0]'::halfvec", "model": "'m'::text", "pool": "10", "most": "10"}
NULLS = ("half_life_days", "but_conversation", "but_from_seq", "only_in")
CONVERSATION = text("INSERT INTO conversations (user_id, id) VALUES (:user_id, :id)")
PASSAGES = text(
    """
    INSERT INTO passages (user_id, id, conversation_id, first_seq, last_seq, text, said_at, embedding, embedding_model)
    SELECT :user_id, gen_random_uuid(), :id, n, n, 'word' || n % 50 || ' thing' || n, now(), '[1,0]', 'm' FROM generate_series(1, 1000) n
    """
)
DOCUMENT = text(
    """
    INSERT INTO documents (user_id, id, title, filename, content_type, bytes, status, chunks)
    VALUES (:user_id, :id, 'title', 'file.txt', 'text/plain', 1, 'ready', 1000)
    """
)
CHUNKS = text(
    """
    INSERT INTO chunks (user_id, document_id, number, id, heading, text, start, tokens, embedding, embedding_model)
    SELECT :user_id, :id, n, gen_random_uuid(), '', 'word' || n % 50 || ' thing' || n, 0, 9,
           l2_normalize(CAST(ARRAY[cos(n), sin(n)] AS halfvec)), 'm'
      FROM generate_series(0, 999) n
    """
)

NEAREST = text("SELECT prosrc, proconfig FROM pg_proc WHERE proname = 'parley_nearest_chunks'")
OF_NEAREST = ("of_shelf", "of_documents", "of_model", "question", "reach", "most")


@pytest.fixture
def many(engines, alice, bob):
    """A thousand passages and a thousand chunks for each of two users."""
    with engines["owner"].begin() as connection:
        for statement, rows in ((CONVERSATION, PASSAGES), (DOCUMENT, CHUNKS)):
            for person in (alice, bob):
                values = {"user_id": person.id, "id": new_id()}
                connection.execute(statement, values)
                connection.execute(rows, values)
    with engines["owner"].connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE passages, chunks"))


@pytest.fixture
def large(engines, many, alice):
    """The same, but alice's document counts as many chunks as a large library. Return its id."""
    with engines["owner"].begin() as connection:
        return connection.scalar(text("UPDATE documents SET chunks = 60000 WHERE user_id = :id RETURNING id"), {"id": alice.id})


@pytest.mark.parametrize("table", ["passages", "chunks"])
def test_a_search_reads_only_its_users_rows_by_index(engines, many, alice, table):
    with engines["owner"].begin() as connection:
        body = connection.scalar(text("SELECT prosrc FROM pg_proc WHERE proname = 'parley_search_' || :table"), {"table": table})
        connection.execute(text("SET LOCAL ROLE parley_search"))
        connection.execute(text("SELECT set_config('parley.user_id', :id, true)"), {"id": str(alice.id)})
        (plan,) = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {_filled(body)}").scalar()
    scans = [node for node in _nodes(plan["Plan"]) if node.get("Relation Name") == table]

    assert {"Index Only Scan", "Bitmap Heap Scan"} <= {node["Node Type"] for node in scans}
    assert {f"{table}_sketch", f"{table}_words"} <= {node.get("Index Name") for node in _nodes(plan["Plan"])}
    assert max(_read(node) for node in scans) <= 1000, json.dumps(plan)


def test_the_nearest_of_a_thousand_chunks_equal_an_exact_search(engine, engines, many, alice):
    vector = Vector("m", [0.3, 0.8])
    with user_scope(engine, alice.id) as connection:
        found = sorted(one.similarity for one in search_chunks(connection, "", vector, limit=10))
    exact = "SELECT -(embedding <#> CAST(:vector AS halfvec)) AS s FROM chunks WHERE user_id = :user_id ORDER BY s DESC LIMIT 10"
    with engines["owner"].begin() as connection:
        nearest = connection.scalars(text(exact), {"user_id": alice.id, "vector": vector_parameters(vector)["vector"]}).all()

    assert found == sorted(nearest)


def test_the_nearest_chunks_of_a_large_library_equal_an_exact_search(engine, engines, large, alice):
    test_the_nearest_of_a_thousand_chunks_equal_an_exact_search(engine, engines, large, alice)


def test_chunks_of_other_documents_of_a_large_library_displace_nothing(engine, engines, large, alice):
    vector, nearer = Vector("m", [0.3, 0.8]), {"user_id": alice.id, "id": new_id()}
    same = text(CHUNKS.text.replace("cos(n), sin(n)", "0.3, 0.8"))
    with engines["owner"].begin() as connection:
        connection.execute(DOCUMENT, nearer)
        connection.execute(same, nearer)
    with user_scope(engine, alice.id) as connection:
        found = search_chunks(connection, "", vector, limit=10, only_in=[large])

    assert [chunk.document_id for chunk in found] == [large] * 10


def test_the_signatures_of_a_large_library_are_read_by_two_processes_from_the_index_alone(engines, large, alice):
    with engines["owner"].begin() as connection:
        body, settings = connection.execute(NEAREST).one()
        connection.execute(text("SET LOCAL ROLE parley_search"))
        for setting in settings:
            name, value = setting.split("=")
            connection.execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})
        connection.exec_driver_sql(f"PREPARE nearest (uuid, uuid[], text, bit varying, float8, bigint) AS {_numbered(body)}")
        call = f"EXECUTE nearest ('{alice.id}', '{{{large}}}', 'm', B'110110', 1, 10)"
        (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {call}").scalar()
        connection.execute(text("DEALLOCATE nearest"))
    nodes = list(_nodes(plan["Plan"]))

    assert [node["Workers Planned"] for node in nodes if node["Node Type"] == "Gather Merge"] == [1]
    assert [(node["Index Name"], node["Parallel Aware"]) for node in nodes if "Relation Name" in node] == [("chunks_sketch", True)]
    assert "max_parallel_workers_per_gather=1" in settings


def test_only_the_search_itself_reads_signatures(engines):
    with engines["owner"].connect() as connection:
        granted = connection.scalars(text("SELECT proacl::text FROM pg_proc WHERE proname = 'parley_nearest_chunks'")).one()

    assert granted == "{parley_search=X/parley_search}"


def test_the_app_role_reads_no_signatures(engine, alice):
    with user_scope(engine, alice.id) as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(text("SELECT parley_nearest_chunks(NULL, NULL, NULL, NULL, NULL, NULL)"))


def test_the_neighbour_of_the_best_chunk_is_the_next_of_its_document_if_enough_are_found(engine, many, alice):
    with user_scope(engine, alice.id) as connection:
        found = search_chunks(connection, "", Vector("m", [0.3, 0.8]), limit=9)
        given = with_neighbour(connection, found, user_id=alice.id, place=8)
        too_few = with_neighbour(connection, found, user_id=alice.id, place=10)

    assert [(chunk.document_id, chunk.number) for chunk in given[7:8]] == [(found[0].document_id, found[0].number + 1)]
    assert (given[:7], given[8:], too_few) == (found[:7], found[7:], found)
    assert given[7].score == pytest.approx(found[0].score / 10)


def _filled(body):
    for name, value in (VALUES | dict.fromkeys(NULLS, "NULL")).items():
        body = re.sub(rf"(?<![\w.]){name}(?![\w(])", value, body)
    return body.replace("%", "%%")


def _numbered(body):
    for number, name in enumerate(OF_NEAREST, 1):
        body = re.sub(rf"\b{name}\b", f"${number}", body)
    return body


def _nodes(node):
    yield node
    for inner in node.get("Plans", ()):
        yield from _nodes(inner)


def _read(node):
    """Return the number of rows that one scan has read."""
    return node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
