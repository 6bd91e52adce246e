"""Document search with a reranker."""

from dataclasses import replace

import pytest

from parley.llm.provider_registry import ProviderRegistry
from parley.metering import reranking as rerankings
from tests.fakes.reranker import ranks_last_first, with_reranker
from tests.fakes.vendor import refuses, running_vendor
from tests.support.builders import add_document

SAFES = ["The safe: code of the safe.", "The code of the safe is 4711.", "A safe is in the house and nobody knows where it may be."]


@pytest.fixture
def vendor():
    with running_vendor(ranks_last_first) as running:
        yield running


def search(documents, person, limit=10):
    """Search only the person's own documents, because other tests may have shared some."""
    own = [one["id"] for one in documents.get("/documents", as_=person).json["items"] if one["is_own"]]
    answer = documents.get(f"/documents/search?q=code+of+the+safe&limit={limit}&document_id={'&document_id='.join(own)}", as_=person)
    assert answer.status == 200, answer.body
    return answer.json


def texts(found):
    return [item["text"] for item in found["items"]]


@pytest.fixture
def without_reranking(engine, documents, alice):
    """The order of the results without a reranker."""
    add_document(engine, alice, *SAFES)
    found = search(documents, alice)
    assert (len(found["items"]), found["reranked"]) == (3, False)
    return found


@pytest.fixture
def reranking_documents(documents, vendor, without_reranking, monkeypatch):
    """The documents function with a reranker, after a search without it."""
    monkeypatch.setattr(rerankings, "RERANK_TIMEOUT_S", 20.0)
    from functions.documents.app import app

    state, catalogue = app._app.state, with_reranker(vendor.url)
    original, providers = state.services, vendor.closing(ProviderRegistry({}))
    state.services = replace(original, reranking=replace(original.reranking, catalogue=lambda: catalogue, reranker_for=providers.reranker))
    yield documents
    state.services = original


def test_results_are_in_the_models_order_with_descending_scores(reranking_documents, vendor, without_reranking, alice):
    found = search(reranking_documents, alice)

    assert (found["reranked"], found["mode"], texts(found)) == (True, without_reranking["mode"], texts(without_reranking)[::-1])
    assert [item["score"] for item in found["items"]] == [item["score"] for item in without_reranking["items"]]
    assert vendor.last_body["documents"] == [f"handbook\n{one}" for one in texts(without_reranking)]


def test_the_best_result_is_found_with_a_small_limit(reranking_documents, without_reranking, alice):
    assert texts(search(reranking_documents, alice, limit=1)) == texts(without_reranking)[-1:]


def test_results_behind_the_rerank_pool_keep_their_order(reranking_documents, vendor, without_reranking, alice, monkeypatch):
    monkeypatch.setattr(rerankings, "POOL_SIZE", 2)
    first, second, third = texts(without_reranking)

    assert (texts(search(reranking_documents, alice)), len(vendor.last_body["documents"])) == ([second, first, third], 2)


def test_a_failing_reranker_leaves_the_order_unchanged(reranking_documents, vendor, without_reranking, alice):
    vendor.script = refuses(503)

    assert search(reranking_documents, alice) == without_reranking


def test_the_user_pays_once_for_a_search(reranking_documents, without_reranking, alice, postgres):
    search(reranking_documents, alice)
    where = f"user_id = '{alice.id}' AND purpose = 'rerank'"

    assert postgres.execute(f"SELECT input_tokens, is_estimate FROM usage WHERE {where}", dbname="parley") == [(100, False)]
