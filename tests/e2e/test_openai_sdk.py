"""The official OpenAI SDK, unmodified, against the running stack."""

import asyncio
import json

import openai
import pytest

from tests.fakes.vendor import USAGE, chunk, refuses, says, streams
from tests.support.api_gateway import PASSWORD

ASK = {"model": "vendor", "messages": [{"role": "user", "content": "hello"}]}
ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}


def key_of(person, **limits):
    return person.post("/auth/api-keys", {"name": "sdk", "password": PASSWORD} | limits).json()["key"]


def client_of(stack, person, **options):
    return openai.OpenAI(base_url=f"{stack.url}/v1", api_key=key_of(person), **options)


@pytest.fixture
def sdk(stack, ada):
    with client_of(stack, ada, max_retries=0) as client:
        yield client


def calls(*ids):
    """A streamed answer with parallel calls of `add`, one per id."""

    def piece(delta, finish=None):
        return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"

    asked = [{"index": index, "id": id, "function": {"name": "add", "arguments": '{"a": 1}'}} for index, id in enumerate(ids)]
    return says(piece({"tool_calls": asked}) + piece({}, "tool_calls") + chunk(usage=USAGE) + b"data: [DONE]\n\n")


def test_the_models_are_listed(sdk):
    assert {"vendor", "offline", "lexical"} <= {model.id for model in sdk.models.list()}


def test_an_answer_in_one_piece_has_text_reason_and_usage(sdk, vendor):
    vendor.script = streams("Hel", "lo")
    answer = sdk.chat.completions.create(**ASK)

    assert (answer.choices[0].message.content, answer.choices[0].finish_reason, answer.model) == ("Hello", "stop", "vendor")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (12, 3, 15)
    assert answer.usage.prompt_tokens_details.cached_tokens == 4


def test_a_stream_gives_the_pieces_and_at_its_end_the_usage(sdk, vendor):
    vendor.script = streams("Hel", "lo")
    chunks = list(sdk.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True}))

    assert [one.choices[0].delta.content for one in chunks if one.choices and one.choices[0].delta.content] == ["Hel", "lo"]
    assert (chunks[-2].choices[0].finish_reason, chunks[-1].usage.total_tokens) == ("stop", 15)


def test_the_async_client_streams_too(stack, ada, vendor):
    vendor.script = streams("Hel", "lo")

    async def talk():
        async with openai.AsyncOpenAI(base_url=f"{stack.url}/v1", api_key=key_of(ada)) as client:
            answer = await client.chat.completions.create(**ASK, stream=True)
            return [one.choices[0].delta.content async for one in answer]

    assert "".join(filter(None, asyncio.run(talk()))) == "Hello"


def test_the_client_runs_tools_and_hands_their_results_back(sdk, vendor):
    vendor.script = calls("call_1", "call_2")
    asked = sdk.chat.completions.create(**ASK, tools=[ADD]).choices[0]
    vendor.script = streams("two")
    results = [{"role": "tool", "tool_call_id": call.id, "content": "1"} for call in asked.message.tool_calls]
    answer = sdk.chat.completions.create(**ASK | {"messages": [*ASK["messages"], asked.message, *results]}, tools=[ADD])

    assert (asked.finish_reason, [call.function.name for call in asked.message.tool_calls]) == ("tool_calls", ["add", "add"])
    assert answer.choices[0].message.content == "two"
    assert [message.get("tool_call_id") for message in vendor.last_body["messages"][-2:]] == ["call_1", "call_2"]


def test_a_streamed_call_is_put_together_by_the_sdk(sdk, vendor):
    vendor.script = calls("call_1")
    with sdk.chat.completions.stream(**ASK, tools=[ADD]) as stream:
        (call,) = stream.get_final_completion().choices[0].message.tool_calls

    assert (call.id, json.loads(call.function.arguments)) == ("call_1", {"a": 1})


def test_a_tool_that_is_named_is_the_only_one_and_required(sdk, vendor):
    vendor.script = calls("call_1")
    other = {"type": "function", "function": {"name": "other"}}
    sdk.chat.completions.create(**ASK, tools=[other, ADD], tool_choice={"type": "function", "function": {"name": "add"}})

    assert ([tool["function"]["name"] for tool in vendor.last_body["tools"]], vendor.last_body["tool_choice"]) == (["add"], "required")


def test_an_answer_by_schema_images_and_limits_reach_the_vendor(sdk, vendor):
    vendor.script = streams("{}")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    schema = {"type": "json_schema", "json_schema": {"name": "it", "schema": {"type": "object"}, "strict": True}}
    messages = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": [{"type": "text", "text": "what?"}, image]}]
    sdk.chat.completions.create(model="vendor", messages=messages, response_format=schema, max_tokens=7, temperature=0.5)

    assert (vendor.last_body["response_format"], vendor.last_body["max_completion_tokens"], vendor.last_body["temperature"]) == (
        schema,
        7,
        0.5,
    )
    assert [message["content"] for message in vendor.last_body["messages"]] == ["be brief", [{"type": "text", "text": "what?"}, image]]


def test_the_raw_response_shows_the_request_id(sdk, vendor):
    vendor.script = streams("hi")
    raw = sdk.chat.completions.with_raw_response.create(**ASK)

    assert (raw.headers["x-request-id"], raw.parse().choices[0].message.content) == (raw.request_id, "hi")


def test_a_stored_conversation_goes_on_by_its_header(sdk, ada, vendor):
    vendor.script = streams("hi")
    id = sdk.chat.completions.with_raw_response.create(**ASK, extra_headers={"X-Conversation-Id": "new"}).headers["x-conversation-id"]
    list(sdk.chat.completions.create(**ASK, stream=True, extra_headers={"X-Conversation-Id": id}))

    assert [message["role"] for message in ada.messages(id)] == ["user", "assistant"] * 2


def test_embeddings_come_by_the_sdks_own_default(sdk):
    answer = sdk.embeddings.create(model="lexical", input=["one", "two"])
    floats = sdk.embeddings.create(model="lexical", input="one", encoding_format="float").data[0].embedding

    assert [len(one.embedding) for one in answer.data] == [64, 64]
    assert answer.data[0].embedding == pytest.approx(floats)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"model": "gpt-99"}, openai.NotFoundError),
        ({"messages": []}, openai.BadRequestError),
        ({"n": 2}, openai.BadRequestError),
        ({"stop": [""]}, openai.BadRequestError),
    ],
)
def test_what_is_refused_raises_the_sdks_own_class(sdk, fields, error):
    with pytest.raises(error) as caught:
        sdk.chat.completions.create(**ASK | fields)

    assert (caught.value.type, caught.value.code) != (None, None)


def test_a_wrong_key_raises_an_authentication_error(stack):
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="parley_wrong") as client, pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_an_answer_that_breaks_off_raises_in_the_stream(sdk, vendor):
    vendor.script = says(chunk("half an ans"))
    stream = sdk.chat.completions.create(**ASK, stream=True)
    heard = [next(stream).choices[0].delta.content for _ in range(2)]

    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert (heard, caught.value.code) == (["", "half an ans"], "provider_failed")


def test_what_the_vendor_rejects_is_told_and_not_tried_again(stack, ada, vendor):
    vendor.script, before = refuses(400, message="not like that"), len(vendor.requests)
    with client_of(stack, ada) as client, pytest.raises(openai.BadRequestError, match="not like that") as caught:
        client.chat.completions.create(**ASK)

    assert (caught.value.status_code, caught.value.code, len(vendor.requests) - before) == (400, "provider_rejected", 1)


RATE = 20
FREE = ASK | {"model": "offline"}


@pytest.fixture
def limited(stack, ada):
    """The client of a key with a low rate limit and a minimal budget."""
    key = key_of(ada, rate_per_minute=RATE, monthly_budget_usd=0.000001)
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key=key, max_retries=5) as client:
        yield client


def use_up(client):
    """Send requests until the rate limit refuses one, and return the error."""
    with pytest.raises(openai.RateLimitError) as caught:
        for _ in range(3 * RATE):
            client.with_options(max_retries=0).chat.completions.create(**FREE)
    return caught.value


def test_who_asks_too_often_is_told_when_to_come_back(limited):
    refusal = use_up(limited)

    assert (refusal.code, 1 <= int(refusal.response.headers["retry-after"]) <= 60 // RATE) == ("rate_limit_exceeded", True)


def test_the_sdk_comes_back_by_itself(limited):
    use_up(limited)
    answer = limited.chat.completions.with_raw_response.create(**FREE)

    assert (answer.retries_taken > 0, answer.parse().choices[0].finish_reason) == (True, "stop")


def test_a_spent_budget_is_an_insufficient_quota_and_not_tried_again(limited, vendor):
    before = len(vendor.requests)
    with pytest.raises(openai.RateLimitError) as caught:
        limited.chat.completions.create(**ASK)

    assert (caught.value.type, caught.value.code, len(vendor.requests) - before) == ("insufficient_quota", "insufficient_quota", 0)
