"""Search in documents with a reranker."""

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
    """Search in the person's own documents: others' tests may share some."""
    own = [one["id"] for one in documents.get("/documents", as_=person).json["items"] if one["is_own"]]
    answer = documents.get(f"/documents/search?q=code+of+the+safe&limit={limit}&document_id={'&document_id='.join(own)}", as_=person)
    assert answer.status == 200, answer.body
    return answer.json


def texts(found):
    return [item["text"] for item in found["items"]]


@pytest.fixture
def plain(engine, documents, alice):
    """What is found without a reranker."""
    add_document(engine, alice, *SAFES)
    found = search(documents, alice)
    assert (len(found["items"]), found["reranked"]) == (3, False)
    return found


@pytest.fixture
def judged(documents, vendor, plain, monkeypatch):
    """The function with a reranker in its catalogue, after a search without."""
    monkeypatch.setattr(rerankings, "RERANK_TIMEOUT_S", 20.0)
    from functions.documents.app import app

    state, catalogue = app._app.state, with_reranker(vendor.url)
    kept, providers = state.services, vendor.closing(ProviderRegistry({}))
    state.services = replace(kept, reranking=replace(kept.reranking, catalogue=lambda: catalogue, reranker_for=providers.reranker))
    yield documents
    state.services = kept


def test_what_is_found_comes_in_the_models_order_with_scores_that_go_down(judged, vendor, plain, alice):
    found = search(judged, alice)

    assert (found["reranked"], found["mode"], texts(found)) == (True, plain["mode"], texts(plain)[::-1])
    assert [item["score"] for item in found["items"]] == [item["score"] for item in plain["items"]]
    assert vendor.asked["documents"] == [f"handbook\n{one}" for one in texts(plain)]


def test_the_best_of_all_is_found_where_few_are_asked_for(judged, plain, alice):
    assert texts(search(judged, alice, limit=1)) == texts(plain)[-1:]


def test_what_stands_behind_the_pool_stays_where_it_is(judged, vendor, plain, alice, monkeypatch):
    monkeypatch.setattr(rerankings, "POOL_SIZE", 2)
    first, second, third = texts(plain)

    assert (texts(search(judged, alice)), len(vendor.asked["documents"])) == ([second, first, third], 2)


def test_a_service_that_fails_leaves_the_order_as_it_was(judged, vendor, plain, alice):
    vendor.script = refuses(503)

    assert search(judged, alice) == plain


def test_the_user_pays_once_for_a_search(judged, plain, alice, postgres):
    search(judged, alice)
    where = f"user_id = '{alice.id}' AND purpose = 'rerank'"

    assert postgres.execute(f"SELECT input_tokens, is_estimate FROM usage WHERE {where}", dbname="parley") == [(100, False)]
