"""Refusals and failures in Anthropic's format, by the official SDK."""

import anthropic
import pytest

from functions.chat.anthropic_api.errors import anthropic_error_response
from parley.errors import Unavailable
from parley.llm.errors import ProviderBusy
from tests.fakes.vendor import chunk, refuses, says
from tests.functions.chat.anthropic_api.test_messages import ASK, BODY, HELLO
from tests.functions.chat.test_limits import allow

OVERFLOW = {"error": {"message": "too long", "code": "context_length_exceeded"}}


@pytest.fixture
def patient(sdk_of, alice, vendor):
    """The SDK with its own two retries."""
    return sdk_of(alice, max_retries=2)


@pytest.mark.parametrize(
    ("status", "error", "kind", "code", "calls"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error", "provider_rejected", 1),
        (401, anthropic.InternalServerError, "api_error", "provider_misconfigured", 1),
        (500, anthropic.InternalServerError, "api_error", "provider_failed", 3),
    ],
)
def test_a_failed_call_is_repeated_here_and_not_by_the_sdk_again(patient, vendor, status, error, kind, code, calls):
    vendor.script = refuses(status)
    with pytest.raises(error) as failed:
        patient.messages.create(**ASK)

    assert (failed.value.type, failed.value.error_code, len(vendor.requests)) == (kind, code, calls)
    assert failed.value.request_id == failed.value.body["request_id"] == failed.value.response.headers["x-request-id"]


def test_a_vendors_429_is_a_429_and_says_when_to_come_back(sdk, vendor):
    vendor.script = refuses(429, headers={"Retry-After": "20"})
    with pytest.raises(anthropic.RateLimitError) as failed:
        sdk.messages.create(**ASK)

    assert (failed.value.type, failed.value.response.headers["retry-after"]) == ("rate_limit_error", "20")


@pytest.mark.parametrize("error", [ProviderBusy("acme", retry_after_s=None), Unavailable("database")])
def test_a_server_under_load_is_overloaded_and_says_when_to_come_back(error):
    response = anthropic_error_response(error, "r1")

    assert (response.status_code, b'"overloaded_error"' in response.body, "retry-after" in response.headers) == (503, True, True)


@pytest.mark.parametrize("content", ["hello", "word " * 20_000])
def test_a_prompt_that_is_too_long_is_refused_in_the_words_that_agents_look_for(sdk, vendor, content):
    vendor.script = refuses(400, document=OVERFLOW)
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long: ") as failed:
        sdk.messages.create(**ASK | {"messages": [{"role": "user", "content": content}]})

    assert failed.value.type == "invalid_request_error"


def test_a_failure_within_a_stream_is_its_last_event(sdk, vendor):
    vendor.script = says(chunk("Hel"))
    with sdk.messages.stream(**ASK) as stream, pytest.raises(anthropic.APIStatusError) as failed:
        list(stream.text_stream)

    assert (failed.value.type, failed.value.error_code) == ("api_error", "provider_failed")


def test_without_the_authorizers_word_a_request_is_refused_in_anthropics_format(chat):
    answer = chat.post("/v1/messages", BODY)

    assert (answer.status, answer.json["type"], answer.json["error"]["type"]) == (401, "error", "authentication_error")
    assert answer.json["request_id"] == answer.headers["request-id"] != ""


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_an_unknown_model_is_not_found(chat, alice, path):
    answer = chat.post(path, {"messages": HELLO, "model": "claude-99"} | ({"max_tokens": 5} if path == "/v1/messages" else {}), as_=alice)

    assert (answer.status, answer.json["error"]["type"]) == (404, "not_found_error")
    assert "offline" in answer.json["error"]["message"]


@pytest.mark.parametrize("body", ["{", "x" * (4 * 1024 * 1024 + 1)])
def test_a_body_that_cannot_be_read_is_refused_in_anthropics_format(chat, alice, body):
    answer = chat.post("/v1/messages", body, as_=alice)

    assert (answer.status, answer.json["error"]["type"]) in ((400, "invalid_request_error"), (413, "request_too_large"))


def test_an_exhausted_budget_is_a_billing_error(chat, alice, monkeypatch):
    allow(monkeypatch, budget="0.000001")
    answer = chat.post("/v1/messages", BODY | {"model": "priced"}, as_=alice)

    assert (answer.status, answer.json["error"]["type"]) == (402, "billing_error")
