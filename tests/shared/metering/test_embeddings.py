"""Metered embeddings by a service that may hang."""

import threading
from decimal import Decimal
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from parley.db.accounts import deployment_audit
from parley.db.accounts.deployment_audit import AuditFilter
from parley.db.transactions import global_scope, user_scope
from parley.llm.catalogue import Catalogue
from parley.llm.embedder import EmbeddingResult
from parley.llm.errors import ProviderFailed
from parley.llm.model import GuardHit
from parley.metering import embeddings
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import BillingSubject, DefaultLimits
from tests.conftest import ROOT

WITH_ROLE = (ROOT / "tests" / "models.toml").read_text().replace("[roles]", '[roles]\nembedding = "lexical"')


class Hanging:
    """A service that responds once `respond` is set."""

    dimensions, batch_texts, batch_tokens = 16, 100, 10_000

    def __init__(self):
        self.respond, self.calls, self.texts = threading.Event(), 0, []

    def embed_batch(self, model_name, texts, *, purpose):
        self.calls += 1
        self.texts += texts
        self.respond.wait(20)
        return EmbeddingResult([[1.0] * 16 for _ in texts], 7)


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(embeddings, "QUERY_TIMEOUT_S", 0.05)
    service = Hanging()
    yield service
    service.respond.set()
    ended()


def ended():
    """Wait until no embedding call is running."""
    for thread in threading.enumerate():
        if thread.name == "background-embedding":
            thread.join(20)


@pytest.fixture
def embedding(engine, service):
    catalogue = Catalogue.parse(WITH_ROLE, source="the test")
    return MeteredEmbedder(engine, lambda: catalogue, {}, lambda model: service, DefaultLimits(1000, Decimal(5)))


@pytest.fixture
def billed(engine, alice):
    """Return Alice's usage rows as (tokens, whether estimated)."""

    def billed():
        with user_scope(engine, alice.id) as connection:
            return [tuple(row) for row in connection.execute(text("SELECT input_tokens, is_estimate FROM usage"))]

    return billed


def test_a_call_that_times_out_is_charged_by_an_estimate(embedding, alice, billed):
    vector = embedding.query("what is my boat called", billing_subject=BillingSubject(alice.id))

    assert (vector, billed()) == (None, [(12, True)])


def test_a_call_in_time_is_charged_as_the_service_reports(embedding, service, alice, billed, monkeypatch):
    service.respond.set()
    monkeypatch.setattr(embeddings, "QUERY_TIMEOUT_S", 10.0)

    assert (embedding.query("boats", billing_subject=BillingSubject(alice.id)) is not None, billed()) == (True, [(7, False)])


def test_a_call_that_fails_costs_nothing(embedding, service, alice, billed):
    service.embed_batch = lambda *_, **__: _fail()
    embedding.query("boats", billing_subject=BillingSubject(alice.id))

    assert billed() == [(0, False)]


def _fail():
    raise ProviderFailed("lexical", "away")


def test_a_blank_question_costs_nothing(embedding, service, alice, billed):
    assert (embedding.query(" \n", billing_subject=BillingSubject(alice.id)), service.calls, billed()) == (None, 0, [])


def test_of_a_long_question_the_first_2000_characters_are_embedded(embedding, service, alice):
    embedding.query("x" * 2001, billing_subject=BillingSubject(alice.id))

    assert service.texts == ["x" * 2000]


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True)])
def test_a_charge_is_flagged_as_an_estimate_if_any_part_of_it_is_one(engine, alice, billed, first, second):
    batches = iter([EmbeddingResult([[1.0] * 16], 7, first), EmbeddingResult([[1.0] * 16], 5, second)])
    service = SimpleNamespace(batch_texts=1, batch_tokens=100, embed_batch=lambda *_, **__: next(batches))
    catalogue = Catalogue.parse(WITH_ROLE, source="the test")
    embedder = MeteredEmbedder(engine, lambda: catalogue, {}, lambda model: service, DefaultLimits(1000, Decimal(5)))
    embedder.vectors(["a", "b"], billing_subject=BillingSubject(alice.id))

    assert billed() == [(12, True)]


def test_a_call_that_hangs_does_not_keep_its_process_running(embedding, alice):
    embedding.query("boats", billing_subject=BillingSubject(alice.id))

    assert [thread.daemon for thread in threading.enumerate() if thread.name == "background-embedding"] == [True]


def test_a_service_that_hangs_is_called_once_and_charged_once(embedding, service, alice, billed):
    vectors = [embedding.query("boats", billing_subject=BillingSubject(alice.id)) for _ in range(5)]

    assert (vectors, service.calls, len(billed())) == ([None] * 5, 1, 1)


def test_a_service_that_has_recovered_is_called_again(embedding, service, alice, monkeypatch):
    embedding.query("boats", billing_subject=BillingSubject(alice.id))
    service.respond.set()
    ended()
    monkeypatch.setattr(embeddings, "QUERY_TIMEOUT_S", 10.0)

    assert embedding.query("boats", billing_subject=BillingSubject(alice.id)) is not None


def test_the_caller_may_act_before_each_call_of_many_texts(engine, alice):
    acts = []
    service = SimpleNamespace(
        batch_texts=1, batch_tokens=100, embed_batch=lambda *_, **__: acts.append("call") or EmbeddingResult([[1.0]], 1)
    )
    catalogue = Catalogue.parse(WITH_ROLE, source="the test")
    embedder = MeteredEmbedder(engine, lambda: catalogue, {}, lambda model: service, DefaultLimits(1000, Decimal(5)))
    embedder.vectors(["a", "b"], billing_subject=BillingSubject(alice.id), before_call=lambda: acts.append("act"))

    assert acts == ["act", "call"] * 2


def test_what_guards_found_in_embedded_texts_is_in_the_audit_with_counts_added_up(engines, engine, alice):
    hit = GuardHit("personal_data", "email", "mask", "request", 2)
    batches = iter([EmbeddingResult([[1.0] * 16], 7, guard_hits=[hit])] * 2)
    service = SimpleNamespace(batch_texts=1, batch_tokens=100, embed_batch=lambda *_, **__: next(batches))
    catalogue = Catalogue.parse(WITH_ROLE, source="the test")
    embedder = MeteredEmbedder(engine, lambda: catalogue, {}, lambda model: service, DefaultLimits(1000, Decimal(5)))
    embedder.vectors(["a", "b"], billing_subject=BillingSubject(alice.id))
    with global_scope(engines["background"]) as connection:
        (found,) = deployment_audit.page(connection, AuditFilter(account_id=alice.id, action="guard_hit"), limit=10, after=None)

    assert (found.actor_id, found.detail["purpose"]) == (alice.id, "embedding")
    assert [(hit["guard"], hit["count"]) for hit in found.detail["hits"]] == [("personal_data", 4)]
