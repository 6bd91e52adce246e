"""Rerankers: the real SDK against a fake server in each response format, and the offline reranker."""

import pytest

from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured
from parley.llm.model import Model
from parley.llm.provider_registry import ProviderRegistry
from parley.llm.reranker import estimate_rerank_tokens
from parley.llm.tokens import estimate_tokens
from parley.llm.vendors.offline_search import OfflineReranker
from parley.llm.vendors.openai import OpenAIReranker
from tests.fakes.vendor import refuses, replies, resets, says

ROWS = [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}, {"index": 1, "relevance_score": 0.5}]
COHERE = {"results": ROWS, "meta": {"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 31}}}
JINA = {"model": "m", "results": ROWS, "usage": {"total_tokens": 31}}
LLAMA = {"object": "list", "results": ROWS, "usage": {"prompt_tokens": 31, "total_tokens": 31}}
VOYAGE = {"object": "list", "data": ROWS, "usage": {"total_tokens": 31}}


@pytest.fixture
def reranker(vendor):
    return vendor.closing(OpenAIReranker("openai-compatible", api_key="k", base_url=vendor.url, timeout_s=2))


@pytest.mark.parametrize("document", [COHERE, JINA, LLAMA, VOYAGE])
def test_the_best_index_comes_first_with_the_vendors_usage(vendor, reranker, document):
    vendor.script = replies(document)
    done = reranker.rerank("m", "q", ["a", "b", "c"])

    assert (done.order, done.input_tokens, done.is_estimated) == ([2, 1, 0], 31, False)
    assert vendor.last_body == {"model": "m", "query": "q", "documents": ["a", "b", "c"]}
    assert (vendor.requests[0][0]["x-path"], vendor.requests[0][0]["authorization"]) == ("/v1/rerank", "Bearer k")


def test_usage_is_estimated_if_the_server_reports_none(vendor, reranker):
    vendor.script = replies({"results": ROWS})
    done = reranker.rerank("m", "q", ["a", "b", "c"])

    assert (done.input_tokens, done.is_estimated) == (estimate_rerank_tokens("q", ["a", "b", "c"]), True)


def test_a_server_may_bill_no_tokens(vendor, reranker):
    vendor.script = replies({"results": ROWS, "usage": {"total_tokens": 0}})
    done = reranker.rerank("m", "q", ["a", "b", "c"])

    assert (done.input_tokens, done.is_estimated) == (0, False)


def test_texts_without_a_score_come_last_in_their_order(vendor, reranker):
    vendor.script = replies({"results": ROWS[:1]})

    assert reranker.rerank("m", "q", ["a", "b", "c"]).order == [2, 0, 1]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (refuses(401), ProviderMisconfigured),
        (refuses(429), ProviderBusy),
        (resets, ProviderFailed),
        (says(b"not JSON"), ProviderFailed),
        (replies([]), ProviderFailed),
        (replies({"results": []}), ProviderFailed),
        (replies({"results": [{"index": 3, "relevance_score": 1}]}), ProviderFailed),
        (replies({"results": [{"index": -1, "relevance_score": 1}]}), ProviderFailed),
        (replies({"results": [{"index": 0, "relevance_score": "high"}]}), ProviderFailed),
        (replies({"results": [{"index": 0, "relevance_score": float("nan")}]}), ProviderFailed),
    ],
)
def test_an_invalid_order_is_a_provider_error_and_is_not_repeated(vendor, reranker, script, error):
    vendor.script = script
    with pytest.raises(error):
        reranker.rerank("m", "q", ["a", "b", "c"])

    assert len(vendor.requests) == 1


def test_offline_more_shared_words_come_first_and_ties_keep_their_order():
    texts = ["trains", "The CODE is long", "nothing", "the code of the safe"]

    assert OfflineReranker().rerank("", "the code of the safe", texts).order == [3, 1, 0, 2]


def test_a_reranker_is_cached_per_model_and_closed_with_the_others(vendor):
    providers = ProviderRegistry({})
    model = Model(provider="openai-compatible", name="m", kind="rerank", base_url=vendor.url)
    made = providers.reranker(model)

    assert providers.reranker(model) is made
    providers.close()
    assert made._client.is_closed()


def test_a_ranking_is_estimated_as_the_question_once_with_each_text():
    assert estimate_rerank_tokens("q" * 300, ["a" * 30, "b" * 60]) == 2 * estimate_tokens("q" * 300) + sum(
        map(estimate_tokens, ["a" * 30, "b" * 60])
    )
