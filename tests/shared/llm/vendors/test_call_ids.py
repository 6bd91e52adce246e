"""Ids of tool calls that another vendor has given, in the history of a conversation that changes its model."""

import re

import pytest

from parley.llm.messages import Message, ModelRequest, ToolCall, ToolDefinition, ToolResult
from parley.llm.model import Model
from parley.llm.provider_registry import ProviderRegistry
from tests.fakes.wire_formats.all_formats import WIRE_FORMATS
from tests.fakes.wire_formats.chat import MISTRAL, OPENAI

# As Kimi, gateways and vLLM give them.
FOREIGN = ["functions.t:0", "functions.t:1", "function-call|17", f"chatcmpl-tool-{'a' * 32}", f"call_{'b' * 90}", f"call_{'b' * 89}c"]
OWN = "call_0123456789abcdef"
ACCEPTED = {"openai": r".{1,40}", "responses": r".{1,64}", "mistral": r"[a-zA-Z0-9]{9}"}


@pytest.fixture
def sent_ids(vendor, wire):
    """Return a function that sends calls with these ids and their results, and returns the ids that the vendor got."""

    def send(ids, *, provider_name="openai"):
        calls, results = [ToolCall(id, "t", "{}") for id in ids], [ToolResult(id, "2") for id in ids]
        tools = [ToolDefinition("t", "T.", {"type": "object"})]
        wire.plays(vendor, wire.texts("ok"))
        provider = wire.provider(vendor)
        if wire.name == "openai":  # as the catalogue configures it
            provider = vendor.closing(ProviderRegistry({}))(Model(provider=provider_name, name="m", base_url=vendor.url))
        messages = [Message("user", "hi"), Message("assistant", calls), Message("tool", results)]
        list(provider.stream("m", ModelRequest(messages, tools=tools)))
        return re.findall(r"'(?:tool_call_id|tool_use_id|toolUseId|call_id|id)': '([^']+)'", str(vendor.last_body))

    return send


def test_each_vendor_gets_ids_that_it_accepts_and_that_match(wire, sent_ids):
    ids = sent_ids(FOREIGN)

    assert ids[: len(FOREIGN)] == ids[len(FOREIGN) :]
    assert len(set(ids)) == len(FOREIGN)
    assert all(re.fullmatch(ACCEPTED.get(wire.name, r"[a-zA-Z0-9_-]{1,64}"), id) for id in ids)


@pytest.mark.parametrize("wire", [wire for wire in WIRE_FORMATS if wire is not MISTRAL], ids=lambda wire: wire.name)
def test_ids_that_a_vendor_accepts_are_not_changed(sent_ids):
    assert sent_ids([OWN]) == [OWN, OWN]


@pytest.mark.parametrize("wire", [OPENAI], ids=["openai"])
def test_a_compatible_server_gets_its_ids_back_unchanged(sent_ids):
    assert sent_ids(FOREIGN, provider_name="openai-compatible") == [*FOREIGN, *FOREIGN]
