"""Vectors of a turn's passages, by a service that may hang."""

import threading
from decimal import Decimal
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from parley.db.transactions import user_scope
from parley.llm.catalogue import Catalogue
from parley.llm.embedder import EmbeddingResult
from parley.metering import passage_vectors
from parley.metering.background import BackgroundCall
from parley.metering.embeddings import QUERY_CALLS, MeteredEmbedder
from parley.metering.limits import BillingSubject, DefaultLimits
from parley.metering.passage_vectors import embed_passages
from tests.conftest import ROOT
from tests.support.builders import add_conversation

WITH_ROLE = (ROOT / "tests" / "models.toml").read_text().replace("[roles]", '[roles]\nembedding = "lexical"')
PRICED = WITH_ROLE.replace('name = "lexical"', 'name = "lexical"\ninput_usd_per_mtok = 1000000.0')


@pytest.fixture
def embedded():
    """The texts that the service has embedded."""
    return []


@pytest.fixture
def embed(engine, alice, embedded, monkeypatch):
    """Return a function that embeds passages for alice, with a free model or a dear one."""
    monkeypatch.setattr(QUERY_CALLS, "_timed_out", None)

    def answer(model_name, texts, *, purpose):
        embedded.extend(texts)
        return EmbeddingResult([[1.0] * 16 for _ in texts], 7)

    service = SimpleNamespace(batch_texts=100, batch_tokens=10_000, embed_batch=answer)

    def embed(rows, *, models=WITH_ROLE):
        catalogue = Catalogue.parse(models, source="the test")
        embedder = MeteredEmbedder(engine, lambda: catalogue, {}, lambda model: service, DefaultLimits(1000, Decimal(5)))
        embed_passages(embedder, rows, billing_subject=BillingSubject(alice.id))

    return embed


@pytest.fixture
def stored(engine, alice):
    """Return a function that reads a column of a table for alice."""

    def read(column, table):
        with user_scope(engine, alice.id) as connection:
            return list(connection.execute(text(f"SELECT {column} FROM {table} ORDER BY id")).scalars())

    return read


@pytest.fixture
def hanging():
    """An earlier question's call that ends once the event is set."""
    end = threading.Event()
    call = BackgroundCall(QUERY_CALLS, None, lambda: end.wait(20))
    call.result(timeout_s=0)
    yield end
    end.set()
    call.wait(20)


def test_passages_get_their_vectors_and_the_user_pays(embed, engine, alice, stored):
    add_conversation(engine, alice, "one", "two")
    embed(list(zip(stored("id", "passages"), ["one", "two"], strict=True)))

    assert stored("embedding_model", "passages") == ["lexical"] * 2
    assert stored("input_tokens", "usage") == [7]


def test_a_turn_without_passages_costs_nothing(embed, embedded, stored):
    embed([])

    assert (embedded, stored("purpose", "usage")) == ([], [])


def test_passages_of_a_user_without_budget_are_not_embedded(embed, embedded, stored, alice):
    embed([(alice.id, "one")], models=PRICED)

    assert (embedded, stored("purpose", "usage")) == ([], [])


def test_while_an_earlier_call_hangs_no_other_is_made(embed, embedded, stored, alice, hanging, monkeypatch):
    monkeypatch.setattr(passage_vectors, "EARLIER_CALL_TIMEOUT_S", 0.05)
    embed([(alice.id, "one")])

    assert (embedded, stored("purpose", "usage")) == ([], [])


def test_passages_wait_for_an_earlier_call_that_ends_soon(embed, embedded, alice, hanging, monkeypatch):
    monkeypatch.setattr(passage_vectors, "EARLIER_CALL_TIMEOUT_S", 20.0)
    threading.Timer(0.05, hanging.set).start()
    embed([(alice.id, "one")])

    assert embedded == ["one"]
