"""The client's tools in the Responses API: functions, free-form tools, and namespaces. By the official SDK."""

import openai
import pytest

from tests.fakes.vendor import USAGE, chunk, says, streams
from tests.functions.chat.openai_api.test_client_tools import ENDED, NONSENSE, calls_with, in_pieces, piece
from tests.support.images import PNG_DATA_URL

ASK = {"model": "compatible", "input": "hello"}
ADD = {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
SPACE = {"type": "namespace", "name": "mcp__notes", "tools": [ADD]}


def calls(name, arguments):
    """Return a script that answers with a call of this function."""
    call = {"index": 0, "id": "call_0", "function": {"name": name, "arguments": arguments}}
    return says(piece({"tool_calls": [call]}) + piece({}, "tool_calls") + chunk(usage=USAGE) + b"data: [DONE]\n\n")


def test_parallel_calls_are_items_with_their_arguments(sdk, vendor):
    vendor.script = calls_with('{"a": 1}', NONSENSE)
    response = sdk.responses.create(**ASK, tools=[ADD])

    assert [(item.type, item.call_id, item.name) for item in response.output] == [
        ("function_call", "call_0", "add"),
        ("function_call", "call_1", "add"),
    ]
    assert ([item.arguments for item in response.output], response.status) == (['{"a": 1}', NONSENSE], "completed")


def test_the_events_of_a_call_are_in_order(sdk, vendor):
    vendor.script = calls_with('{"a": 1}')
    events = list(sdk.responses.create(**ASK, tools=[ADD], stream=True))[2:-1]

    assert [event.type for event in events] == [
        *("response.output_item.added", "response.function_call_arguments.delta"),
        *("response.function_call_arguments.done", "response.output_item.done"),
    ]
    assert (events[0].item.arguments, events[1].delta, events[2].arguments, events[3].item.arguments) == ("", *['{"a": 1}'] * 3)


def streamed(sdk, **options):
    """Return the name and the text of each event between the first two events and the last."""
    events = list(sdk.responses.create(**ASK, tools=[ADD], stream=True, **options))[2:-1]
    texts = [getattr(event, "delta", None) or getattr(event, "arguments", None) or event.item.status for event in events]
    return [(event.type.removeprefix("response."), event.output_index, text) for event, text in zip(events, texts, strict=True)]


def call_events(index, *pieces, status="completed"):
    """Return the events of a call that arrives in these pieces."""
    deltas = [("function_call_arguments.delta", index, text) for text in pieces]
    ends = [("function_call_arguments.done", index, "".join(pieces)), ("output_item.done", index, status)]
    return [("output_item.added", index, "in_progress"), *deltas, *ends]


def test_arguments_are_streamed_in_the_pieces_of_the_vendor_and_one_call_after_the_other(sdk, vendor):
    vendor.script = in_pieces((0, ""), (0, '{"a"'), (1, '{"a"'), (0, ": 1}"), (1, ": 2}"), end=ENDED)

    assert streamed(sdk) == [*call_events(0, '{"a"', ": 1}"), *call_events(1, '{"a"', ": 2}")]


def test_the_sdks_own_stream_collects_pieces(sdk, vendor):
    vendor.script = in_pieces((0, '{"a"'), (0, ": 1}"), (1, NONSENSE), end=ENDED)
    with sdk.responses.stream(**ASK, tools=[ADD]) as stream:
        calls = stream.get_final_response().output

    assert [(call.call_id, call.arguments) for call in calls] == [("call_0", '{"a": 1}'), ("call_1", NONSENSE)]


def test_a_call_cut_by_the_limit_is_incomplete_and_does_not_hinder_what_continues_it(sdk, vendor):
    vendor.script = in_pieces((0, '{"a"'), end=piece({}, "length") + chunk(usage=USAGE) + b"data: [DONE]\n\n")
    *_, last = sdk.responses.create(**ASK, tools=[ADD], stream=True)
    vendor.script = streams("sorry")
    answer = sdk.responses.create(model="compatible", input="go on", previous_response_id=last.response.id)

    assert (last.type, last.response.output[0].status, last.response.output[0].arguments) == ("response.incomplete", "incomplete", '{"a"')
    assert (answer.output_text, vendor.last_body["messages"]) == ("sorry", [{"role": "user", "content": "hello\n\ngo on"}])


def test_a_call_that_breaks_off_in_mid_stream_fails_the_response(sdk, vendor):
    vendor.script = in_pieces((0, '{"a"'), end=b"")
    *_, last = sdk.responses.create(**ASK, tools=[ADD], stream=True)

    assert (last.type, last.response.output[0].status, len(vendor.requests)) == ("response.failed", "incomplete", 1)


def test_the_sdks_own_stream_collects_a_call(sdk, vendor):
    vendor.script = calls_with('{"a": 1}')
    with sdk.responses.stream(**ASK, tools=[ADD]) as stream:
        (call,) = stream.get_final_response().output

    assert (call.name, call.arguments) == ("add", '{"a": 1}')


def test_outputs_follow_their_calls_to_the_vendor(sdk, vendor):
    vendor.script = calls_with('{"a": 1}', '{"a": 2}')
    asked = sdk.responses.create(**ASK, tools=[ADD])
    vendor.script = streams("3")
    outputs = [{"type": "function_call_output", "call_id": call.call_id, "output": str(n)} for n, call in enumerate(asked.output)]
    answer = sdk.responses.create(**ASK | {"input": [{"role": "user", "content": "hello"}, *asked.output, *outputs]}, tools=[ADD])

    assert answer.output_text == "3"
    assert [message["role"] for message in vendor.last_body["messages"]] == ["user", "assistant", "tool", "tool"]
    assert [call["function"]["arguments"] for call in vendor.last_body["messages"][1]["tool_calls"]] == ['{"a": 1}', '{"a": 2}']


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([{"type": "function_call_output", "call_id": "c", "output": "1"}], "input[0].call_id"),
        ([{"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"}], "input"),
        (
            [{"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"}, {"role": "user", "content": "so?"}],
            "input[1]",
        ),
    ],
)
def test_a_call_without_its_output_is_refused_and_an_output_without_its_call(sdk, items, param):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(**ASK | {"input": items})

    assert refused.value.param == param


def test_an_image_in_an_output_is_shown_to_the_model(sdk, vendor):
    call = {"type": "function_call", "call_id": "c", "name": "view", "arguments": "{}"}
    shown = [{"type": "input_text", "text": "a cat"}, {"type": "input_image", "image_url": PNG_DATA_URL}]
    sdk.responses.create(**ASK | {"input": [call, {"type": "function_call_output", "call_id": "c", "output": shown}]})
    *_, output, after = vendor.last_body["messages"]

    assert (output["content"], after["content"][1]["image_url"]["url"]) == ("a cat", PNG_DATA_URL)


def test_a_tool_of_a_namespace_is_called_by_its_own_name(sdk, vendor):
    vendor.script = streams("no call")
    sdk.responses.create(**ASK, tools=[SPACE])
    offered = vendor.last_body["tools"][0]["function"]["name"]
    vendor.script = calls(offered, "{}")
    (call,) = sdk.responses.create(**ASK, tools=[SPACE]).output

    assert (call.name, call.namespace, offered[:14]) == ("add", "mcp__notes", "mcp__notes_add")


def test_a_call_in_a_namespace_keeps_it_in_the_history(sdk, vendor):
    sdk.responses.create(**ASK, tools=[SPACE])
    offered = vendor.last_body["tools"][0]["function"]["name"]
    call = {"type": "function_call", "call_id": "c", "name": "add", "namespace": "mcp__notes", "arguments": "{}"}
    sdk.responses.create(**ASK | {"input": [call, {"type": "function_call_output", "call_id": "c", "output": "1"}]})

    assert vendor.last_body["messages"][1]["tool_calls"][0]["function"]["name"] == offered


@pytest.mark.parametrize(
    ("choice", "offered", "sent"),
    [
        ("none", ["add", "sub"], "none"),
        ({"type": "function", "name": "sub"}, ["sub"], "required"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "add"}]}, ["add"], "auto"),
    ],
)
def test_the_choice_of_tools_is_honoured(sdk, vendor, choice, offered, sent):
    sdk.responses.create(**ASK, tools=[ADD, ADD | {"name": "sub"}], tool_choice=choice)

    assert [tool["function"]["name"] for tool in vendor.last_body["tools"]] == offered
    assert vendor.last_body["tool_choice"] == sent


def test_a_choice_of_an_unknown_tool_is_refused(sdk):
    with pytest.raises(openai.BadRequestError, match="unknown tool 'sub'") as refused:
        sdk.responses.create(**ASK, tools=[ADD], tool_choice={"type": "function", "name": "sub"})

    assert refused.value.param == "tool_choice"


def test_a_single_call_is_wanted(sdk, vendor):
    vendor.script = calls_with("{}", "{}")

    assert len(sdk.responses.create(**ASK, tools=[ADD], parallel_tool_calls=False).output) == 1


def test_openais_own_web_search_is_left_out(sdk, vendor):
    response = sdk.responses.create(**ASK, tools=[ADD, {"type": "web_search"}])

    assert [tool.type for tool in response.tools] == ["function"]
    assert len(vendor.last_body["tools"]) == 1
