"""Mistral's deviations from the common format."""

import re

from parley.llm.messages import Message, ModelRequest, TextDelta, ToolCall, ToolDefinition, ToolResult
from tests.fakes.wire_formats.chat import MISTRAL, chunk, texts

TOOL = ToolDefinition("t", "T.", {"type": "object"})


def ask(vendor, request, pieces=None):
    MISTRAL.plays(vendor, pieces or texts("ok"))
    return list(MISTRAL.provider(vendor).stream("m", request))


def test_no_unknown_field_is_sent(vendor):
    ask(vendor, ModelRequest([Message("user", "hi")], tools=[TOOL], tool_choice="required"))

    assert "stream_options" not in vendor.last_body
    assert vendor.last_body["tool_choice"] == "any"


def test_ids_of_another_vendors_calls_are_converted_and_still_match(vendor):
    round = [Message("assistant", [ToolCall("call_0123456789", "t", "{}")]), Message("tool", [ToolResult("call_0123456789", "2")])]
    ask(vendor, ModelRequest([Message("user", "hi"), *round], tools=[TOOL]))
    _, call, result = vendor.last_body["messages"]

    assert re.fullmatch("[a-zA-Z0-9]{9}", call["tool_calls"][0]["id"])
    assert call["tool_calls"][0]["id"] == result["tool_call_id"]


def test_only_the_text_of_a_reasoning_models_parts_is_visible(vendor):
    thinking = chunk({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "so"}]})
    events = ask(vendor, ModelRequest([Message("user", "hi")]), [thinking, *texts("!")])

    assert events[:2] == [TextDelta("so"), TextDelta("!")]
