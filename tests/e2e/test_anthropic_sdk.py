"""The official Anthropic SDK, unmodified, against the running stack: by `x-api-key`, and by a bearer token."""

import anthropic
import httpx2
import pytest

from tests.e2e.test_openai_sdk import calls, key_of
from tests.fakes.vendor import chunk, says, streams

ASK = {"model": "vendor", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
ADD = {"name": "add", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}


def client_of(stack, **credential):
    """Return a client with exactly one credential: the SDK sends each in a header of its own."""
    missing = {"api_key": None, "auth_token": None} | credential
    return anthropic.Anthropic(base_url=stack.url, max_retries=0, open_telemetry=False, **missing)


@pytest.fixture(params=["api_key", "auth_token"])
def sdk(request, stack, ada):
    with client_of(stack, **{request.param: key_of(ada)}) as client:
        yield client


def test_an_answer_in_one_piece_has_text_reason_and_usage(sdk, vendor):
    vendor.script = streams("Hel", "lo")
    message = sdk.messages.create(**ASK)

    assert (message.content[0].text, message.stop_reason, message.model) == ("Hello", "end_turn", "vendor")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (8, 4, 3)


def test_a_stream_gives_the_pieces(sdk, vendor):
    vendor.script = streams("Hel", "lo")
    with sdk.messages.stream(**ASK) as stream:
        texts = list(stream.text_stream)

    assert texts == ["Hel", "lo"]


def test_the_client_runs_tools_and_hands_their_results_back(sdk, vendor):
    vendor.script = calls("call_1", "call_2")
    asked = sdk.messages.create(**ASK, tools=[ADD])
    vendor.script = streams("two")
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "1"} for call in asked.content]
    answer = sdk.messages.create(
        **ASK | {"messages": [*ASK["messages"], asked.to_param(), {"role": "user", "content": results}]}, tools=[ADD]
    )

    assert (asked.stop_reason, [call.input for call in asked.content], answer.content[0].text) == ("tool_use", [{"a": 1}] * 2, "two")


def test_tokens_are_counted(sdk):
    assert sdk.messages.count_tokens(model="vendor", messages=ASK["messages"]).input_tokens > 0


@pytest.mark.parametrize("credential", ["api_key", "auth_token"])
def test_a_wrong_key_raises_an_authentication_error(stack, credential):
    with client_of(stack, **{credential: "parley_wrong"}) as client, pytest.raises(anthropic.AuthenticationError) as caught:
        client.messages.create(**ASK)

    assert (caught.value.type, caught.value.status_code) == ("authentication_error", 401)


def test_other_routes_take_no_api_key_header(stack, ada):
    answer = httpx2.get(f"{stack.url}/conversations", headers={"X-Api-Key": key_of(ada)})

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_an_answer_that_breaks_off_raises_in_the_stream(sdk, vendor):
    vendor.script = says(chunk("half an ans"))
    with sdk.messages.stream(**ASK) as stream, pytest.raises(anthropic.APIStatusError) as caught:
        list(stream.text_stream)

    assert (caught.value.type, caught.value.error_code) == ("api_error", "provider_failed")
