"""Tools that the client runs: definitions, calls, results and images of results, by the official SDK."""

import anthropic as anthropic_sdk
import pytest

from tests.fakes.vendor import USAGE, chunk, sends, streams
from tests.fakes.wire_formats import anthropic
from tests.fakes.wire_formats import chat as chat_format
from tests.functions.chat.openai_api.test_client_tools import ENDED, NONSENSE, calls_with, in_pieces, piece
from tests.support.images import PNG_DATA_URL

HELLO = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
ADD = {"name": "add", "description": "Adds.", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}}
ASK = {"model": "compatible", "max_tokens": 100, "messages": HELLO, "tools": [ADD]}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG_DATA_URL.partition(",")[2]}}


def with_result(call, *results):
    """Return the messages of a tool round whose results are these blocks."""
    return [*HELLO, {"role": "assistant", "content": [call]}, {"role": "user", "content": list(results)}]


def call_of(id="toolu_1"):
    return {"type": "tool_use", "id": id, "name": "add", "input": {"a": 1}}


def result(content, id="toolu_1", **fields):
    return {"type": "tool_result", "tool_use_id": id, "content": content} | fields


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "add"}, "required"),
    ],
)
def test_tools_and_the_tool_choice_reach_a_vendor_in_its_own_form(sdk, vendor, choice, sent):
    sdk.messages.create(**ASK, tool_choice=choice)
    function = {"name": "add", "description": "Adds.", "parameters": SCHEMA}

    assert vendor.last_body["tools"] == [{"type": "function", "function": function}]
    assert vendor.last_body["tool_choice"] == sent


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_calls_are_blocks_with_their_input(sdk, vendor, stream):
    vendor.script = sends(chat_format.calls())
    if stream:
        with sdk.messages.stream(**ASK) as events:
            message = events.get_final_message()
    else:
        message = sdk.messages.create(**ASK)

    assert [(block.id, block.name, block.input) for block in message.content] == [
        ("call_aaa1", "calculator", {"expression": "1+1"}),
        ("call_bbb2", "weather", {"city": "Zürich"}),
    ]
    assert message.stop_reason == "tool_use"


def test_a_client_that_wants_one_call_gets_one(sdk, vendor):
    vendor.script = sends(chat_format.calls())
    message = sdk.messages.create(**ASK, tool_choice={"type": "auto", "disable_parallel_tool_use": True})

    assert [block.id for block in message.content] == ["call_aaa1"]
    assert vendor.last_body["parallel_tool_calls"] is False


def streamed(sdk, **options):
    """Return the pieces of calls that the client receives, by the index of their block, and the message."""
    with sdk.messages.stream(**ASK | options) as events:
        deltas = [event for event in events if event.type == "content_block_delta" and event.delta.type == "input_json_delta"]
        return [(event.index, event.delta.partial_json) for event in deltas], events.get_final_message()


def test_arguments_are_streamed_in_the_pieces_of_the_vendor_and_one_call_after_the_other(sdk, vendor):
    vendor.script = in_pieces((0, ""), (0, '{"a"'), (1, '{"a"'), (0, ": 1}"), (1, ": 2}"), end=ENDED)
    pieces, message = streamed(sdk)

    assert pieces == [(0, '{"a"'), (0, ": 1}"), (1, '{"a"'), (1, ": 2}")]
    assert [block.input for block in message.content] == [{"a": 1}, {"a": 2}]


def test_anthropics_own_pieces_reach_the_client(sdk, vendor):
    vendor.script = sends(anthropic.calls())
    pieces, message = streamed(sdk, model="anthropic")

    assert [index for index, _ in pieces] == [1, 1, 2, 2]
    assert [block.type for block in message.content] == ["thinking", "tool_use", "tool_use"]


def test_a_block_ends_before_the_next_begins(chat, vendor, alice):
    vendor.script = in_pieces((0, '{"a"'), (0, ": 1}"), (1, "{}"), end=ENDED)
    answer = chat.post("/v1/messages", ASK | {"stream": True}, as_=alice)
    blocks = [(name.removeprefix("content_block_"), data["index"]) for name, data in answer.events if "index" in data]

    assert blocks == [("start", 0), ("delta", 0), ("delta", 0), ("stop", 0), ("start", 1), ("delta", 1), ("stop", 1)]


def test_a_call_cut_by_the_limit_ends_its_block(sdk, vendor):
    vendor.script = in_pieces((0, '{"a": 1'), end=piece({}, "length") + chunk(usage=USAGE) + b"data: [DONE]\n\n")
    _, message = streamed(sdk)

    assert (message.stop_reason, message.content[0].input) == ("max_tokens", {"a": 1})


@pytest.mark.parametrize(("arguments", "stream"), [(NONSENSE, False), ("add one", False), ("add one", True)])
def test_arguments_that_are_no_json_are_wrapped_as_anthropic_advises(sdk, vendor, arguments, stream):
    vendor.script = calls_with(arguments)
    message = streamed(sdk)[1] if stream else sdk.messages.create(**ASK)

    assert message.content[0].input == {"INVALID_JSON": arguments}


def test_a_streamed_call_that_turns_out_to_be_no_json_is_an_error(sdk, vendor):
    vendor.script = calls_with(NONSENSE)
    with pytest.raises(anthropic_sdk.APIStatusError) as failed:
        streamed(sdk)

    assert failed.value.error_code == "provider_failed"


def test_calls_and_results_return_to_a_vendor_in_its_own_form(sdk, vendor):
    messages = with_result(call_of(), result("2"), {"type": "text", "text": "so?"})
    sdk.messages.create(**ASK | {"messages": messages})
    call = {"id": "toolu_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}

    assert vendor.last_body["messages"][1:] == [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "2"},
        {"role": "user", "content": "so?"},
    ]


def test_results_of_consecutive_user_messages_belong_together(sdk, vendor):
    asked = {"role": "assistant", "content": [call_of(), call_of("toolu_2")]}
    answers = [{"role": "user", "content": [result("1", id="toolu_2")]}, {"role": "user", "content": [result("2")]}]
    sdk.messages.create(**ASK | {"messages": [*HELLO, asked, *answers]})

    assert [message.get("tool_call_id") for message in vendor.last_body["messages"][2:]] == ["toolu_2", "toolu_1"]


def test_anthropic_gets_calls_and_results_as_they_were(sdk, vendor):
    vendor.script = sends(anthropic.texts("ok"))
    messages = with_result(call_of(), result("failed", is_error=True))
    sdk.messages.create(**ASK | {"model": "anthropic", "messages": messages})

    assert vendor.last_body["messages"][1:] == messages[1:]


def test_an_image_of_a_result_follows_it(sdk, vendor):
    messages = with_result(call_of(), result([{"type": "text", "text": "a picture"}, PNG]))
    sdk.messages.create(**ASK | {"messages": messages})
    told, shown = vendor.last_body["messages"][2:]

    assert told["content"].startswith("a picture\n\n")
    assert [part["type"] for part in shown["content"]] == ["text", "image_url"]
    assert shown["content"][1]["image_url"]["url"] == PNG_DATA_URL


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "document", "title": "Notes", "source": {"type": "text", "media_type": "text/plain", "data": "It rains."}}],
        [{"type": "search_result", "title": "Notes", "source": "notes.md", "content": [{"type": "text", "text": "It rains."}]}],
        [{"type": "document", "title": "Notes", "source": {"type": "content", "content": "It rains."}}],
    ],
)
def test_documents_and_search_results_are_read_as_text(sdk, vendor, content):
    vendor.script = streams("ok")
    sdk.messages.create(**ASK | {"messages": [{"role": "user", "content": content}]})
    text = vendor.last_body["messages"][0]["content"]

    assert (text.startswith("Notes\n"), text.endswith("It rains.")) == (True, True)
