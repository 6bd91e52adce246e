"""The provider `builtin` and the function `embedder`, over the emulator's Lambda API."""

import pytest

from parley.aws.functions import InvocationFailed, invoke_function
from parley.llm.embedder import embedding_batches
from parley.llm.errors import ProviderFailed, ProviderMisconfigured, ProviderTimeout
from parley.llm.vendors.builtin import BuiltinEmbedder


def test_texts_become_vectors_in_their_order_with_the_models_tokens(embedder):
    one, two = (embedder.embed_batch("m", [text], purpose="query").vectors[0] for text in ("nuts", "the annual leave"))
    both = embedder.embed_batch("m", ["nuts", "the annual leave"], purpose="document")

    assert both.vectors == [one, two]
    assert (both.input_tokens, both.is_estimated) == (3 + 5, False)


def test_ten_thousand_texts_are_sent_in_batches_that_the_function_accepts(embedder):
    batches = list(embedding_batches(embedder, ["a short text"] * 10_000))

    assert sum(map(len, batches)) == 10_000
    assert len(embedder.embed_batch("m", batches[0], purpose="document").vectors) == len(batches[0]) == embedder.batch_texts


@pytest.mark.parametrize("event", [{}, {"texts": []}, {"texts": ["a"] * 65}, {"texts": "nuts"}, {"texts": [1]}, {"texts": None}])
def test_another_request_is_refused(embedder, event):
    with pytest.raises(InvocationFailed) as refusal:
        invoke_function(embedder._client(), "EmbedderFunction", event)

    assert refusal.value.kind == "InvalidInput"


def test_a_missing_function_is_a_mistake_of_the_operator(embedder):
    missing = BuiltinEmbedder("builtin", function_name="NoFunction", dimensions=384, timeout_s=5)

    with pytest.raises(ProviderMisconfigured):
        missing.embed_batch("m", ["nuts"], purpose="query")


def test_other_dimensions_than_the_models_are_refused(embedder):
    with pytest.raises(ProviderFailed, match="instead of 3"):
        BuiltinEmbedder("builtin", function_name="EmbedderFunction", dimensions=3, timeout_s=60).embed_batch("m", ["a"], purpose="query")


def test_a_function_that_does_not_respond_is_a_timeout(embedder):
    hasty = BuiltinEmbedder("builtin", function_name="EmbedderFunction", dimensions=384, timeout_s=0.001)

    with pytest.raises(ProviderTimeout):
        hasty.embed_batch("m", ["word " * 200] * 40, purpose="document")
