"""Embeddings: the vendors' real SDKs against a fake vendor, and the offline embedder."""

import math
import subprocess
import sys

import pytest

from parley.llm.embedder import EmbeddingResult, embedding_batches
from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured
from parley.llm.tokens import estimate_tokens
from parley.llm.vendors.bedrock import BedrockEmbedder
from parley.llm.vendors.offline_search import OfflineEmbedder
from parley.llm.vendors.openai import OpenAIEmbedder
from tests.fakes.vendor import refuses, replies, resets

VECTORS = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def embed(embedder, model_name, texts, *, purpose):
    """Embed texts batch by batch, as the metered embedder does."""
    done = [embedder.embed_batch(model_name, batch, purpose=purpose) for batch in embedding_batches(embedder, texts)]
    vectors = [vector for part in done for vector in part.vectors]
    return EmbeddingResult(vectors, sum(part.input_tokens for part in done), any(part.is_estimated for part in done))


def openai_document(vectors=VECTORS, **fields):
    rows = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return {"data": rows[::-1], "usage": {"prompt_tokens": 7}} | fields  # the index determines the order


@pytest.fixture
def openai(vendor):
    vendor.script = replies(openai_document())
    return vendor.closing(OpenAIEmbedder("openai", api_key="k", dimensions=3, base_url=vendor.url, timeout_s=2, asks_dimensions=True))


@pytest.fixture
def bedrock(vendor):
    return vendor.closing(BedrockEmbedder("bedrock", dimensions=3, region="eu-west-1", endpoint_url=vendor.root, timeout_s=2))


def test_vectors_come_in_the_order_of_the_texts_with_the_vendors_count(vendor, openai):
    embedded = embed(openai, "m", ["a", "b"], purpose="document")

    assert (embedded.vectors, embedded.input_tokens, embedded.is_estimated) == (VECTORS, 7, False)
    assert vendor.last_body == {"model": "m", "input": ["a", "b"], "encoding_format": "float", "dimensions": 3}


def test_many_texts_are_sent_in_batches(vendor, openai):
    openai.batch_texts = 2
    embedded = embed(openai, "m", ["a", "b", "c", "d"], purpose="document")

    assert [body["input"] for _, body in vendor.requests] == [["a", "b"], ["c", "d"]]
    assert (len(embedded.vectors), embedded.input_tokens) == (4, 14)


def test_long_texts_make_smaller_batches(openai):
    openai.batch_tokens = 100
    texts = ["x" * 200, "y" * 200, "z" * 900, "short"]

    assert list(embedding_batches(openai, texts)) == [[text] for text in texts]


def test_texts_that_fill_a_batch_exactly_share_it(openai):
    openai.batch_tokens = 2 * estimate_tokens("abc")

    assert list(embedding_batches(openai, ["abc"] * 3)) == [["abc", "abc"], ["abc"]]


def test_tokens_are_estimated_if_the_server_reports_none(vendor, openai):
    vendor.script = replies(openai_document(usage=None))
    embedded = embed(openai, "m", ["a", "b"], purpose="document")

    assert (embedded.input_tokens, embedded.is_estimated) == (2 * estimate_tokens("a"), True)


def test_an_empty_list_of_texts_needs_no_call(vendor, openai):
    assert embed(openai, "m", [], purpose="document").vectors == []
    assert vendor.requests == []


@pytest.mark.parametrize(
    "document",
    [
        openai_document(VECTORS[:1]),
        openai_document([[1.0], [2.0]]),
        openai_document([[1.0, 0.0, None], [1.0, 0.0, 0.0]]),
        openai_document([[1.0, 0.0, math.inf], [1.0, 0.0, 0.0]]),
        {"data": 3},
        [],
    ],
)
def test_invalid_vectors_are_a_failure_of_the_vendor(vendor, openai, document):
    vendor.script = replies(document)

    with pytest.raises(ProviderFailed):
        embed(openai, "m", ["a", "b"], purpose="document")


@pytest.mark.parametrize(
    ("script", "error"),
    [(refuses(429), ProviderBusy), (refuses(401), ProviderMisconfigured), (refuses(500), ProviderFailed), (resets, ProviderFailed)],
)
def test_an_embedding_call_fails_with_the_same_errors_as_a_chat(vendor, openai, bedrock, script, error):
    for embedder in (openai, bedrock):
        vendor.script = script
        with pytest.raises(error):
            embed(embedder, "amazon.titan-embed-text-v2:0", ["a"], purpose="query")
    assert len(vendor.requests) == 2


def test_titan_gets_one_text_per_call(vendor, bedrock):
    vendor.script = replies({"embedding": VECTORS[0], "inputTextTokenCount": 4})
    embedded = embed(bedrock, "amazon.titan-embed-text-v2:0", ["a", "b"], purpose="document")

    assert (embedded.vectors, embedded.input_tokens) == ([VECTORS[0]] * 2, 8)
    assert vendor.last_body == {"inputText": "b", "dimensions": 3, "normalize": True}


def test_cohere_gets_the_purpose_of_the_texts(vendor, bedrock):
    vendor.script = replies({"embeddings": {"float": VECTORS}}, headers={"X-Amzn-Bedrock-Input-Token-Count": "5"})
    embedded = embed(bedrock, "cohere.embed-v4:0", ["a", "b"], purpose="query")

    assert (embedded.vectors, embedded.input_tokens) == (VECTORS, 5)
    assert (vendor.last_body["input_type"], vendor.last_body["output_dimension"]) == ("search_query", 3)


def similarity(one, other):
    first, second = embed(OfflineEmbedder(dimensions=384), "lexical", [one, other], purpose="document").vectors
    return sum(a * b for a, b in zip(first, second, strict=True))


def test_offline_vectors_are_similar_if_texts_share_words():
    question = "How do I reset my password?"

    assert similarity(question, "Resetting passwords: open the settings") > similarity(question, "The cat sleeps in the garden")
    assert similarity("Größe ändern", "groesse GRÖSSE Ändern") > 0.5


@pytest.mark.parametrize("text", ["", "   ", "?!", "hello", "日本語のテキスト", "\ud800", "a" * 10_000])
def test_every_offline_vector_has_length_one(text):
    vector = embed(OfflineEmbedder(dimensions=384), "lexical", [text], purpose="query").vectors[0]

    assert math.isclose(math.hypot(*vector), 1.0)


def test_offline_vectors_are_the_same_in_every_process():
    made = "OfflineEmbedder(dimensions=64).embed_batch('', ['some words'], purpose='query').vectors"
    code = f"from parley.llm.vendors.offline_search import *; print({made})"
    outputs = {
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True).stdout
        for seed in ("1", "2")
    }

    assert len(outputs) == 1
