"""Messages, whole and streamed, by the official SDK against models of several vendors."""

import pytest

from tests.fakes.vendor import sends, streams
from tests.fakes.wire_formats import anthropic, responses

HELLO = [{"role": "user", "content": "hello"}]
ASK = {"model": "compatible", "max_tokens": 100, "messages": HELLO}
BODY = {"model": "offline", "max_tokens": 100, "messages": HELLO}
ORDER = [
    *("message_start", "content_block_start", "ping", "content_block_delta", "content_block_delta"),
    *("content_block_stop", "message_delta", "message_stop"),
]


def answer_as(vendor, model, *texts):
    """Script the vendor to answer with these texts in the format of the model's vendor."""
    wires = {"anthropic": anthropic.ANTHROPIC, "claude-sonnet-4": anthropic.ANTHROPIC, "responses": responses.RESPONSES}
    vendor.script = streams(*texts)
    if model in wires:
        wires[model].plays(vendor, wires[model].texts(*texts))


@pytest.mark.parametrize("model", ["compatible", "openai", "mistral", "responses", "anthropic", "quick"])
def test_any_model_of_the_catalogue_answers(sdk, vendor, model):
    answer_as(vendor, model, "Hel", "lo")
    message = sdk.messages.create(**ASK | {"model": model})

    assert [(block.type, block.text) for block in message.content] == [("text", "Hello")]
    assert (message.role, message.stop_reason, message.stop_sequence, message.id[:4]) == ("assistant", "end_turn", None, "msg_")


def test_the_usage_tells_cached_tokens_apart(sdk, vendor):
    answer_as(vendor, "anthropic", "Hello")
    usage = sdk.messages.create(**ASK | {"model": "anthropic"}).usage

    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens, usage.output_tokens) == (6, 4, 2, 3)


def test_the_events_of_a_stream_come_in_anthropics_order(chat, vendor, alice):
    answer = chat.post("/v1/messages?beta=true", ASK | {"stream": True}, as_=alice)
    data = [event for _, event in answer.events]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [name for name, _ in answer.events] == ORDER == [event["type"] for event in data]
    assert (data[0]["message"]["content"], data[0]["message"]["usage"]["output_tokens"]) == ([], 0)
    assert (data[-2]["delta"]["stop_reason"], data[-2]["usage"]["input_tokens"]) == ("end_turn", 8)


@pytest.mark.parametrize("model", ["compatible", "anthropic"])
def test_a_stream_builds_the_message_that_a_whole_answer_is(sdk, vendor, model):
    answer_as(vendor, model, "Hel", "lo")
    with sdk.messages.stream(**ASK | {"model": model}) as stream:
        texts = list(stream.text_stream)
        streamed = stream.get_final_message()
    whole = sdk.messages.create(**ASK | {"model": model})

    assert texts == ["Hel", "lo"]
    assert streamed.model_dump(exclude={"id"}) == whole.model_dump(exclude={"id"})


def test_the_text_ends_before_a_stop_sequence_which_is_named(sdk, vendor):
    answer_as(vendor, "compatible", "one, tw", "o, three")
    message = sdk.messages.create(**ASK, stop_sequences=["five", "two"])

    assert (message.content[0].text, message.stop_reason, message.stop_sequence) == ("one, ", "stop_sequence", "two")


def test_an_answer_at_its_limit_says_so(chat, alice):
    answer = chat.post("/v1/messages", BODY | {"max_tokens": 2}, as_=alice).json

    assert (answer["stop_reason"], answer["content"][0]["text"]) == ("max_tokens", "I am ")


def test_a_refusal_is_a_text_with_its_own_stop_reason(sdk, vendor):
    vendor.script = sends([*anthropic.texts("I cannot.", reason="refusal")])
    message = sdk.messages.create(**ASK | {"model": "anthropic"})

    assert (message.content[0].text, message.stop_reason) == ("I cannot.", "refusal")


def test_system_prompts_reach_the_vendor_in_their_order(sdk, vendor):
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "Be kind."}]
    sdk.messages.create(**ASK, system=system)

    assert vendor.last_body["messages"][0] == {"role": "system", "content": "Be brief.\n\nBe kind."}


def with_key(chat, person, **fields):
    return chat.post("/v1/messages", BODY | fields, as_=person, headers={"Idempotency-Key": "k1"})


@pytest.mark.parametrize("stream", [False, True])
def test_a_repeated_request_is_answered_and_charged_once(chat, alice, row, stream):
    first, again = with_key(chat, alice, stream=stream), with_key(chat, alice, stream=stream)
    ids = [answer.events[0][1]["message"]["id"] if stream else answer.json["id"] for answer in (first, again)]

    assert (first.status, again.status, ids[0]) == (200, 200, ids[1])
    assert row("SELECT count(*) AS n FROM usage WHERE user_id = :u", u=alice.id).n == 1


def test_a_key_is_for_one_request(chat, alice):
    with_key(chat, alice)
    answer = with_key(chat, alice, max_tokens=5)

    assert (answer.status, answer.json["error"]["details"]["error_code"]) == (400, "idempotency_key_reused")


def test_tokens_are_counted_without_a_call(sdk, vendor):
    short = sdk.messages.count_tokens(model="compatible", messages=HELLO)
    long = sdk.messages.count_tokens(model="compatible", messages=HELLO, system="word " * 100)

    assert 0 < short.input_tokens < 20 < 100 <= long.input_tokens - short.input_tokens < 120
    assert vendor.requests == []
