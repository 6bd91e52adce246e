"""Tools that the client runs itself: their calls, in answers and in the history."""

import json

import openai
import pytest

from tests.fakes.vendor import USAGE, chunk, says, streams

ASK = {"model": "compatible", "messages": [{"role": "user", "content": "hello"}]}
ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}
NONSENSE = '{"a": 1'


def piece(delta, finish=None):
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"


def calls_with(*arguments):
    """Return a script that answers with calls of `add` with these arguments."""
    calls = [{"index": n, "id": f"call_{n}", "function": {"name": "add", "arguments": text}} for n, text in enumerate(arguments)]
    return says(piece({"tool_calls": calls}) + piece({}, "tool_calls") + chunk(usage=USAGE) + b"data: [DONE]\n\n")


def in_pieces(*fragments, end):
    """Return a script that streams fragments of calls of `add`: pairs of an index and arguments."""
    begun, events = set(), b""
    for index, text in fragments:
        head = {} if index in begun else {"id": f"call_{index}", "type": "function"}
        begun.add(index)
        function = {"arguments": text} | ({"name": "add"} if head else {})
        events += piece({"tool_calls": [{"index": index, "function": function} | head]})
    return says(events + end)


ENDED = piece({}, "tool_calls") + chunk(usage=USAGE) + b"data: [DONE]\n\n"


def streamed_calls(sdk, **options):
    """Return the fragments of calls that the client receives: index, id and arguments."""
    chunks = sdk.chat.completions.create(**ASK, tools=[ADD], stream=True, **options)
    calls = [call for one in chunks for choice in one.choices for call in choice.delta.tool_calls or ()]
    return [(call.index, call.id, call.function.arguments) for call in calls]


def test_arguments_are_streamed_in_the_pieces_of_the_vendor(sdk, vendor):
    vendor.script = in_pieces((0, ""), (0, '{"a"'), (0, ": 1}"), (1, '{"a": 2}'), end=ENDED)

    assert streamed_calls(sdk) == [(0, "call_0", ""), (0, None, '{"a"'), (0, None, ": 1}"), (1, "call_1", '{"a": 2}')]


def test_only_the_first_call_is_streamed_to_a_client_that_wants_one(sdk, vendor):
    vendor.script = in_pieces((0, '{"a"'), (1, '{"a": 2'), (0, ": 1}"), (1, "}"), end=ENDED)

    assert streamed_calls(sdk, parallel_tool_calls=False) == [(0, "call_0", '{"a"'), (0, None, ": 1}")]


def test_a_call_that_breaks_off_in_mid_stream_is_an_error_and_not_repeated(sdk, vendor):
    vendor.script = in_pieces((0, '{"a"'), end=b"")
    with pytest.raises(openai.APIError):
        streamed_calls(sdk)

    assert len(vendor.requests) == 1


def test_a_repeated_stream_has_each_call_in_one_piece(sdk, vendor):
    vendor.script = in_pieces((0, '{"a"'), (0, ": 1}"), end=ENDED)
    key = {"extra_headers": {"Idempotency-Key": "calls"}}
    streamed_calls(sdk, **key)

    assert (streamed_calls(sdk, **key), len(vendor.requests)) == ([(0, "call_0", '{"a": 1}')], 1)


@pytest.mark.parametrize("arguments", [NONSENSE, "[1]", "add one and one"])
def test_arguments_that_are_no_json_reach_the_client_as_they_are(sdk, vendor, arguments):
    vendor.script = calls_with(arguments)
    (call,) = sdk.chat.completions.create(**ASK, tools=[ADD]).choices[0].message.tool_calls

    assert (call.function.arguments, len(vendor.requests)) == (arguments, 1)


def test_such_a_call_is_accepted_in_the_history_and_sent_as_it_was(sdk, vendor):
    vendor.script = calls_with(NONSENSE)
    asked = sdk.chat.completions.create(**ASK, tools=[ADD]).choices[0].message
    vendor.script = streams("sorry")
    result = {"role": "tool", "tool_call_id": "call_0", "content": "The arguments are not JSON."}
    answer = sdk.chat.completions.create(**ASK | {"messages": [*ASK["messages"], asked, result]}, tools=[ADD])

    assert answer.choices[0].message.content == "sorry"
    assert vendor.last_body["messages"][1]["tool_calls"][0]["function"]["arguments"] == NONSENSE


def test_one_users_failing_calls_leave_the_model_to_others(sdk_of, vendor, alice, bob):
    """As of a proxy in front of the vendor that answers one user's requests with nonsense."""
    vendor.script = says(b"data: {nonsense\n\n")
    for _ in range(3):
        with pytest.raises(openai.InternalServerError):
            sdk_of(alice).chat.completions.create(**ASK)
    vendor.script = streams("Hello")

    assert sdk_of(bob).chat.completions.create(**ASK).choices[0].message.content == "Hello"
