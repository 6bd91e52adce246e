"""Metered reranking by a service that may fail or hang."""

import threading
from decimal import Decimal

import pytest
from sqlalchemy import text

from parley.db.chunks import FoundChunk
from parley.db.transactions import user_scope
from parley.ids import new_id
from parley.llm.catalogue import Catalogue
from parley.llm.provider_registry import ProviderRegistry
from parley.llm.reranker import estimate_rerank_tokens
from parley.metering import reranking as rerankings
from parley.metering.limits import BillingSubject, DefaultLimits
from parley.metering.reranking import RERANK_CALLS, MeteredReranker
from tests.fakes.reranker import MODELS, ranks_last_first, with_reranker
from tests.fakes.vendor import refuses, running_vendor

TEXTS = ["one", "two", "three"]


@pytest.fixture
def vendor():
    with running_vendor(ranks_last_first) as running:
        yield running


@pytest.fixture
def reranking(engine, vendor, monkeypatch):
    monkeypatch.setattr(rerankings, "RERANK_TIMEOUT_S", 20.0)
    catalogue, providers = with_reranker(vendor.url), vendor.closing(ProviderRegistry({}))
    return MeteredReranker(engine, lambda: catalogue, {}, providers.reranker, DefaultLimits(1000, Decimal(5)))


@pytest.fixture
def hanging(vendor, monkeypatch):
    """A service that responds once the event is set, and callers that wait for 50 ms."""
    monkeypatch.setattr(rerankings, "RERANK_TIMEOUT_S", 0.05)
    monkeypatch.setattr(RERANK_CALLS, "_timed_out", None)
    monkeypatch.setattr(RERANK_CALLS, "_paused_until_s", 0.0)
    respond = threading.Event()
    vendor.script = lambda handler: (respond.wait(20), ranks_last_first(handler))
    yield respond
    respond.set()
    ended()


def ended():
    """Wait until no rerank call is running."""
    for thread in threading.enumerate():
        if thread.name == "background-rerank":
            thread.join(20)


@pytest.fixture
def billed(engine, alice):
    """Return Alice's usage rows and what is still reserved."""

    def billed():
        with user_scope(engine, alice.id) as connection:
            rows = connection.execute(text("SELECT purpose, model, input_tokens, cost_usd, is_estimate, status FROM usage")).all()
            reserved = connection.execute(text("SELECT coalesce(sum(reserved_usd), 0) FROM budgets")).scalar_one()
        assert reserved == 0
        return [tuple(row) for row in rows]

    return billed


def test_a_rerank_is_charged_once_as_the_service_reports(reranking, alice, billed):
    assert reranking.ordered("q", TEXTS, billing_subject=BillingSubject(alice.id)) == [2, 1, 0]
    assert billed() == [("rerank", "judge", 100, Decimal("0.001"), False, "completed")]


def test_without_a_rerank_role_no_service_is_called_and_nothing_is_charged(reranking, engine, vendor, alice, billed):
    catalogue = Catalogue.parse(MODELS, source="a test")
    without = MeteredReranker(engine, lambda: catalogue, {}, reranking.reranker_for, reranking.default_limits)

    assert (without.ordered("q", TEXTS, billing_subject=BillingSubject(alice.id)), without.pool(10)) == (None, 10)
    assert (vendor.requests, billed()) == ([], [])


def test_a_search_finds_fifty_candidates_for_the_reranker_or_as_many_as_are_asked_for(reranking):
    assert (reranking.pool(10), reranking.pool(60)) == (50, 60)


def found_chunks(count):
    """Return chunks with falling scores."""
    return [
        FoundChunk(new_id(), new_id(), "handbook", number, "heading", f"body {number}", None, 0, 1 - number / 100, None, None)
        for number in range(count)
    ]


def test_the_best_fifty_results_change_places_and_their_scores_still_fall(reranking, vendor, alice):
    found = found_chunks(52)
    reranked = reranking.reranked("q", found, billing_subject=BillingSubject(alice.id))

    assert [chunk.body for chunk in reranked] == [chunk.body for chunk in [*found[49::-1], *found[50:]]]
    assert [chunk.score for chunk in reranked] == [chunk.score for chunk in found]
    assert vendor.last_body["documents"][1] == "heading\nbody 1"


def test_results_keep_their_order_if_the_service_fails(reranking, vendor, alice):
    vendor.script = refuses(500)

    assert reranking.reranked("q", found_chunks(3), billing_subject=BillingSubject(alice.id)) is None


def test_two_texts_have_an_order(reranking, alice):
    assert reranking.ordered("q", TEXTS[:2], billing_subject=BillingSubject(alice.id)) == [1, 0]


def test_a_blank_question_needs_no_call(reranking, vendor, alice):
    assert (reranking.ordered(" \n", TEXTS, billing_subject=BillingSubject(alice.id)), vendor.requests) == (None, [])


def test_of_a_long_question_the_service_reads_the_first_2000_characters(reranking, vendor, alice):
    reranking.ordered("x" * 2001, TEXTS, billing_subject=BillingSubject(alice.id))

    assert vendor.last_body["query"] == "x" * 2000


@pytest.mark.parametrize("texts", [[], ["one"]])
def test_fewer_than_two_texts_need_no_call(reranking, vendor, alice, texts):
    assert (reranking.ordered("q", texts, billing_subject=BillingSubject(alice.id)), vendor.requests) == (None, [])


def test_without_budget_no_service_is_called(reranking, engine, vendor, alice):
    poor = MeteredReranker(engine, reranking.catalogue, {}, reranking.reranker_for, DefaultLimits(1000, Decimal("0.000001")))

    assert (poor.ordered("q", TEXTS, billing_subject=BillingSubject(alice.id)), vendor.requests) == (None, [])


def test_a_service_that_fails_costs_nothing(reranking, vendor, alice, billed):
    vendor.script = refuses(500)

    assert reranking.ordered("q", TEXTS, billing_subject=BillingSubject(alice.id)) is None
    assert [row[2:5] for row in billed()] == [(0, 0, False)]


def test_a_call_that_times_out_is_charged_by_an_estimate(reranking, hanging, alice, billed):
    assert reranking.ordered("q", TEXTS, billing_subject=BillingSubject(alice.id)) is None
    assert [(row[2], row[4]) for row in billed()] == [(estimate_rerank_tokens("q", TEXTS), True)]


def test_a_service_that_hangs_is_called_once_and_not_again_for_a_minute(reranking, hanging, vendor, alice, billed, monkeypatch):
    orders = [reranking.ordered("q", TEXTS, billing_subject=BillingSubject(alice.id)) for _ in range(5)]
    assert (orders, len(billed())) == ([None] * 5, 1)

    hanging.set()
    ended()
    monkeypatch.setattr(rerankings, "RERANK_TIMEOUT_S", 10.0)
    assert (reranking.ordered("q", TEXTS, billing_subject=BillingSubject(alice.id)), len(vendor.requests)) == (None, 1)
    monkeypatch.setattr(RERANK_CALLS, "_paused_until_s", 0.0)
    assert (reranking.ordered("q", TEXTS, billing_subject=BillingSubject(alice.id)), len(vendor.requests)) == ([2, 1, 0], 2)
