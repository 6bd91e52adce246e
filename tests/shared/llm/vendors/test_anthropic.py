"""Behaviour that only Anthropic has."""

import pytest

from parley.llm.errors import ProviderBusy, ProviderFailed
from parley.llm.messages import Finished, Message, ModelRequest, OutputSchema, Text, ToolCall, ToolDefinition, ToolResult, Usage
from tests.fakes.wire_formats.anthropic import ANTHROPIC, event, texts

TOOLS = [ToolDefinition("a", "A.", {"type": "object"}), ToolDefinition("b", "B.", {"type": "object"})]


def ask(vendor, request, pieces=None):
    ANTHROPIC.plays(vendor, pieces or texts("ok"))
    return list(ANTHROPIC.provider(vendor).stream("m", request))


def test_the_stable_prefix_is_marked_for_the_cache_and_nothing_else(vendor):
    ask(vendor, ModelRequest([Message("user", "hi")], system="be brief", tools=TOOLS))
    marked = [block for block in [*vendor.last_body["tools"], *vendor.last_body["system"]] if "cache_control" in block]

    assert [block.get("name") or block["text"] for block in marked] == ["b", "be brief"]
    assert "cache_control" not in str(vendor.last_body["messages"])


def test_tokens_read_from_and_written_to_the_cache_are_counted_separately(vendor):
    assert ask(vendor, ModelRequest([Message("user", "hi")]))[-1].usage == Usage(12, 3, 4, 2)


@pytest.mark.parametrize(
    ("reason", "ours"), [("end_turn", "stop"), ("max_tokens", "length"), ("refusal", "content_filter"), ("stop_sequence", "stop")]
)
def test_its_finish_reasons_are_translated(vendor, reason, ours):
    end = ask(vendor, ModelRequest([Message("user", "hi")]), texts("ok", reason=reason))[-1]

    assert isinstance(end, Finished)
    assert end.reason == ours


@pytest.mark.parametrize(("kind", "error"), [("overloaded_error", ProviderBusy), ("api_error", ProviderFailed)])
def test_an_error_in_mid_stream_is_translated(vendor, kind, error):
    pieces = [*texts("Hel")[:4], event("error", error={"type": kind, "message": "no"})]

    with pytest.raises(ProviderFailed) as caught:
        ask(vendor, ModelRequest([Message("user", "hi")]), pieces)
    assert type(caught.value) is error


def test_the_required_output_limit_is_always_sent(vendor):
    ask(vendor, ModelRequest([Message("user", "hi")]))

    assert vendor.last_body["max_tokens"] > 0


@pytest.mark.parametrize("blank", ["", " ", "\n\n"])
def test_blank_text_before_a_tool_call_is_left_out_because_it_is_rejected(vendor, blank):
    answer = Message("assistant", [Text(blank), ToolCall("toolu_1", "a", "{}")])
    ask(vendor, ModelRequest([Message("user", "hi"), answer, Message("tool", [ToolResult("toolu_1", "2")])], tools=TOOLS))

    assert [block["type"] for block in vendor.last_body["messages"][1]["content"]] == ["tool_use"]


def test_the_catalogues_key_is_sent_and_not_the_environments(vendor, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "another")
    ask(vendor, ModelRequest([Message("user", "hi")], output=OutputSchema("o", {"type": "object"})))

    assert vendor.requests[0][0]["authorization"] == "Bearer k"
