"""The words of texts, which triggers of the database write."""

import importlib
import json
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.support.builders import add_conversation, add_document, add_memory

NO_WORDS = """
CREATE OR REPLACE FUNCTION parley_words(body text) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RAISE 'the words are computed';
END
$$
"""
NAUGHTY = Path(__file__).parents[2] / "data" / "naughty-strings" / "blns.json"
TEXTS_OF_A_CHUNK = ["text = 'a pier'", "heading = 'The harbour'", "description = 'about boats'"]


@pytest.fixture
def change(engines, engine, alice):
    """Return a function that changes alice's row of a table where no words can be computed, and returns the number of changed rows."""
    add_conversation(engine, alice, "the pier")
    add_memory(engine, alice, "lives by the pier")
    add_document(engine, alice, "the pier")
    with engines["owner"].connect() as connection:
        connection.execute(text(NO_WORDS))

        def change(table, values):
            return connection.execute(text(f"UPDATE {table} SET {values} WHERE user_id = :id"), {"id": alice.id}).rowcount

        yield change
        connection.rollback()


@pytest.mark.parametrize("table", ["passages", "memories", "chunks"])
def test_a_vector_that_arrives_leaves_the_words_alone(change, table):
    assert change(table, "embedding = '[1,0]', embedding_model = 'm'") == 1


@pytest.mark.parametrize(
    ("table", "values"),
    [("passages", TEXTS_OF_A_CHUNK[0]), ("memories", TEXTS_OF_A_CHUNK[0]), *(("chunks", values) for values in TEXTS_OF_A_CHUNK)],
)
def test_a_changed_text_has_new_words(change, table, values):
    with pytest.raises(DBAPIError, match="the words are computed"):
        change(table, values)


def test_words_are_those_that_earlier_releases_have_stored(engines):
    earlier = importlib.import_module("parley.db.migrations.versions.0006_memory").ANALYSIS.partition("$$;")[0] + "$$;"
    strings = json.loads(NAUGHTY.read_text())
    texts = [value.encode("utf-8", "replace").decode().replace("\0", "") for value in strings]
    texts += ["HTTPServer parse_URLString snake_case", "ÉTÉ naïve ﬁn İstanbul ß", "東京に住む DiffExecutor", "a_1 _a a_ A1b2", ""]
    sql = "SELECT t FROM unnest(CAST(:texts AS text[])) AS given(t) WHERE earlier_words(t) IS DISTINCT FROM parley_words(t)"
    with engines["owner"].connect() as connection:
        connection.exec_driver_sql(earlier.replace("parley_words", "earlier_words").replace("%", "%%"))
        different = connection.scalars(text(sql), {"texts": texts}).all()
        connection.rollback()

    assert different == []
