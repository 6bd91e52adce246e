"""What a client of `/v1` learns from refusals and failures, by the official SDK with its own retries."""

import openai
import pytest

from tests.fakes.vendor import refuses
from tests.support.api_gateway import Person

ASK = {"model": "compatible", "messages": [{"role": "user", "content": "hello"}]}
OVERFLOW = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."


@pytest.fixture
def patient(sdk_of, alice, vendor):
    """The SDK with its own two retries."""
    return sdk_of(alice, max_retries=2)


@pytest.mark.parametrize(
    ("status", "error", "code", "calls"),
    [
        (400, openai.BadRequestError, "provider_rejected", 1),
        (401, openai.InternalServerError, "provider_misconfigured", 1),
        (500, openai.InternalServerError, "provider_failed", 3),
    ],
)
def test_a_failed_call_is_repeated_here_and_not_by_the_sdk_again(patient, vendor, status, error, code, calls):
    vendor.script = refuses(status)
    with pytest.raises(error) as failed:
        patient.chat.completions.create(**ASK)

    assert (failed.value.code, len(vendor.requests), failed.value.response.headers["x-should-retry"]) == (code, calls, "false")


def test_a_vendors_429_is_a_429_and_says_when_to_come_back(sdk, vendor):
    vendor.script = refuses(429, headers={"Retry-After": "20"})
    with pytest.raises(openai.RateLimitError) as failed:
        sdk.chat.completions.create(**ASK)

    assert (failed.value.code, failed.value.response.headers["retry-after"]) == ("rate_limit_exceeded", "20")


def test_a_vendor_under_load_is_a_503(sdk, vendor):
    vendor.script = refuses(503, headers={"Retry-After": "20"})
    with pytest.raises(openai.InternalServerError) as failed:
        sdk.chat.completions.create(**ASK)

    assert (failed.value.status_code, failed.value.code) == (503, "provider_busy")


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"message": "too long", "code": "context_length_exceeded"}},
        {"error": {"message": OVERFLOW, "type": "invalid_request_error"}},
        {"error": {"message": "prompt is too long: 210000 tokens > 200000 maximum", "type": "invalid_request_error"}},
    ],
)
def test_a_vendors_complaint_about_a_long_prompt_keeps_its_meaning(sdk, vendor, document):
    vendor.script = refuses(400, document=document)
    with pytest.raises(openai.BadRequestError) as failed:
        sdk.chat.completions.create(**ASK)

    assert (failed.value.code, document["error"]["message"] in str(failed.value)) == ("context_length_exceeded", True)


def test_a_prompt_that_does_not_fit_is_refused_in_the_words_that_agents_look_for(sdk, vendor):
    with pytest.raises(openai.BadRequestError, match="This model's maximum context length is") as failed:
        sdk.chat.completions.create(**ASK | {"messages": [{"role": "user", "content": "word " * 20_000}]})

    assert (failed.value.code, vendor.requests) == ("context_length_exceeded", [])


def test_text_that_cannot_be_stored_is_replaced(chat, vendor, alice):
    messages = [{"role": "user", "content": "a\0b\ud800c"}, {"role": "assistant", "content": [{"type": "text", "text": "\udfff"}]}]
    body = ASK | {"messages": [*messages, {"role": "user", "content": "so?"}]}

    assert chat.post("/v1/chat/completions", body, as_=alice).status == 200
    assert [message["content"] for message in vendor.last_body["messages"]][:2] == ["a\ufffdb\ufffdc", "\ufffd"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stop": 5}, "stop"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0]"),
        ({"odd": 1}, "odd"),
    ],
)
def test_the_field_of_an_error_is_the_clients(sdk, fields, param):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.chat.completions.create(**ASK | {"extra_body": fields})

    assert refused.value.param == param


def test_a_key_that_lacks_a_scope_is_told_which(sdk_of, vendor, alice):
    limited = Person(alice.email, alice.tokens, alice.claims | {"scope": "documents"})
    with pytest.raises(openai.PermissionDeniedError, match="lacks the scope 'chat'"):
        sdk_of(limited).models.list()


def test_models_strategies_and_embedding_models_are_listed_by_kind(sdk):
    kinds = {model.id: model.kind for model in sdk.models.list()}

    assert (kinds["compatible"], kinds["quick"], kinds["lexical"]) == ("chat", "strategy", "embedding")


@pytest.mark.parametrize(("id", "owner"), [("compatible", "openai-compatible"), ("quick", "parley"), ("lexical", "offline")])
def test_a_model_is_found_by_its_id(sdk, id, owner):
    assert (sdk.models.retrieve(id).id, sdk.models.retrieve(id).owned_by) == (id, owner)


def test_an_unknown_model_is_not_found(sdk):
    with pytest.raises(openai.NotFoundError) as refused:
        sdk.models.retrieve("gpt-99")

    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


# "Grüße, world" in cl100k_base, as tiktoken encodes it.
TOKENS = [6600, 2448, 24352, 11, 1917]


@pytest.mark.parametrize("tokens", [TOKENS, [TOKENS, TOKENS]])
def test_tokens_are_embedded_as_the_text_that_they_stand_for(sdk, tokens):
    texts = sdk.embeddings.create(model="lexical", input="Grüße, world").data
    decoded = sdk.embeddings.create(model="lexical", input=tokens).data

    assert [item.embedding for item in decoded] == [texts[0].embedding] * len(decoded)


def test_many_tokens_are_taken(sdk):
    assert len(sdk.embeddings.create(model="lexical", input=[[1917] * 90] * 1000).data) == 1000


@pytest.mark.parametrize("tokens", [[-1], [100_300], [[1917], [10**9]]])
def test_an_unknown_token_is_refused_by_name(sdk, tokens):
    with pytest.raises(openai.BadRequestError, match="tokens of cl100k_base") as refused:
        sdk.embeddings.create(model="lexical", input=tokens)

    assert refused.value.param == "input"
