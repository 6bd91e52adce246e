"""Behaviour that only OpenAI's Responses API has."""

import pytest

from parley.llm.errors import ProviderBusy, ProviderFailed
from parley.llm.messages import Message, ModelRequest
from tests.fakes.wire_formats.responses import RESPONSES, done, ended, texts
from tests.fakes.wire_formats.wire_format import CALLS, sse

ASK = ModelRequest([Message("user", "hi")], system="be brief")


def ask(vendor, pieces):
    RESPONSES.plays(vendor, pieces)
    return list(RESPONSES.provider(vendor).stream("m", ASK))


def test_nothing_is_stored_at_the_vendor(vendor):
    ask(vendor, texts("ok"))

    assert vendor.requests[0][0]["x-path"].endswith("/responses")
    assert (vendor.last_body["store"], vendor.last_body["include"]) == (False, ["reasoning.encrypted_content"])


@pytest.mark.parametrize(("why", "ours"), [("max_output_tokens", "length"), ("content_filter", "content_filter")])
def test_an_incomplete_answer_has_a_reason_and_calls_no_tool(vendor, why, ours):
    id, name, written = CALLS[0]
    call = done({"type": "function_call", "call_id": id, "name": name, "arguments": written})
    events = ask(vendor, [call, ended("incomplete", incomplete_details={"reason": why})])

    assert [event.reason for event in events] == [ours]


def test_a_refusal_is_visible_text_with_its_own_finish_reason(vendor):
    *_, text, end = ask(vendor, [sse({"type": "response.refusal.delta", "delta": "I cannot."}), ended()])

    assert (text.text, end.reason) == ("I cannot.", "content_filter")


@pytest.mark.parametrize(("code", "error"), [("rate_limit_exceeded", ProviderBusy), ("server_error", ProviderFailed)])
@pytest.mark.parametrize("kind", ["failed", "error"])
def test_a_failure_in_mid_stream_is_translated(vendor, code, error, kind):
    details = {"code": code, "message": "no"}
    event = ended("failed", error=details) if kind == "failed" else sse({"type": "error"} | details)

    with pytest.raises(ProviderFailed) as caught:
        ask(vendor, [event])
    assert type(caught.value) is error
