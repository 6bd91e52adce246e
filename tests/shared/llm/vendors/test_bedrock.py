"""Behaviour that only Bedrock has."""

import pytest

from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderRejected, ProviderTimeout
from parley.llm.messages import Message, ModelRequest, ToolCall, ToolDefinition, ToolResult, Usage
from tests.fakes.vendor import refuses
from tests.fakes.wire_formats.bedrock import BEDROCK, frame, texts

TOOL = ToolDefinition("calculator", "Reckons.", {"type": "object"})
ASK = ModelRequest([Message("user", "hi")], system="be brief", tools=[TOOL])


def ask(vendor, request=ASK, pieces=None):
    BEDROCK.plays(vendor, pieces or texts("ok"))
    return list(BEDROCK.provider(vendor).stream("eu.amazon.nova-2-lite-v1:0", request))


def test_the_stable_prefix_is_marked_for_the_cache(vendor):
    ask(vendor)

    assert "cachePoint" in vendor.last_body["system"][-1]
    assert "cachePoint" in vendor.last_body["toolConfig"]["tools"][-1]


def test_tokens_read_from_and_written_to_the_cache_are_counted_separately(vendor):
    assert ask(vendor)[-1].usage == Usage(12, 3, 4, 2)


def test_the_call_is_signed_with_the_role(vendor):
    ask(vendor)

    assert vendor.requests[0][0]["authorization"].startswith("AWS4-HMAC-SHA256")


def test_earlier_tool_calls_require_the_tools_even_if_no_call_is_allowed(vendor):
    round = [Message("assistant", [ToolCall("c", "calculator", "{}")]), Message("tool", [ToolResult("c", "2")])]
    ask(vendor, ModelRequest([Message("user", "hi"), *round], tools=[TOOL], tool_choice="none"))
    ask(vendor, ModelRequest([Message("user", "hi")], tools=[TOOL], tool_choice="none"))

    assert ["toolConfig" in body for _, body in vendor.requests] == [True, False]


def test_the_roles_alternate_although_a_question_was_not_answered(vendor):
    round = [Message("assistant", [ToolCall("c", "calculator", "{}")]), Message("tool", [ToolResult("c", "2")])]
    ask(vendor, ModelRequest([Message("user", "first"), Message("user", "second"), *round, Message("user", "third")], tools=[TOOL]))
    messages = vendor.last_body["messages"]

    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[0]["content"] == [{"text": "first\n\nsecond"}]
    assert [list(block) for block in messages[2]["content"]] == [["toolResult"], ["text"]]


def test_the_user_begins_although_the_history_begins_with_an_answer(vendor):
    ask(vendor, ModelRequest([Message("assistant", "an answer"), Message("user", "hi")]))
    messages = vendor.last_body["messages"]

    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[0]["content"] == [{"text": "(The assistant speaks first.)"}]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("ThrottlingException", ProviderBusy),
        ("ModelNotReadyException", ProviderBusy),
        ("ModelTimeoutException", ProviderTimeout),
        ("AccessDeniedException", ProviderMisconfigured),
        ("ValidationException", ProviderRejected),
    ],
)
def test_its_exceptions_are_translated(vendor, name, error):
    vendor.script = refuses(400, headers={"x-amzn-errortype": name}, document={"message": "no"})

    with pytest.raises(ProviderFailed) as caught:
        list(BEDROCK.provider(vendor).stream("m", ASK))
    assert type(caught.value) is error


@pytest.mark.parametrize(("name", "error"), [("throttlingException", ProviderBusy), ("modelStreamErrorException", ProviderFailed)])
def test_an_exception_in_mid_stream_is_translated(vendor, name, error):
    with pytest.raises(ProviderFailed) as caught:
        ask(vendor, pieces=[*texts("Hel")[:2], frame({"message": "no"}, kind="exception", name=name)])
    assert type(caught.value) is error


def test_a_malformed_answer_is_a_failure(vendor):
    with pytest.raises(ProviderFailed):
        ask(vendor, pieces=texts("Hel", reason="malformed_tool_use"))
