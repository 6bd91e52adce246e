"""The vendor's real SDK against a fake vendor."""

import threading
from dataclasses import replace

import pytest

from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderRefused, ProviderTimeout
from parley.llm.messages import Finished, Message, ModelRequest, TextDelta, ToolCall, ToolCallDelta, ToolResult, Usage
from parley.llm.vendors.openai import OpenAIProvider
from parley.llm.vendors.openai_chat import Dialect
from tests.fakes.vendor import chunk, keeps_alive, refuses, says, streams
from tests.fakes.wire_formats.wire_format import halves, sse

ASK = ModelRequest([Message("user", "hi")], system="be brief", max_output_tokens=9, temperature=0.5)


@pytest.fixture
def provider(vendor):
    return vendor.closing(OpenAIProvider("acme", api_key="k", base_url=vendor.url, timeout_s=5))


def test_an_answer_arrives_in_parts_and_ends_with_the_vendors_usage(provider):
    events = list(provider.stream("m", ASK))

    assert events == [TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage(12, 3, 4))]


def test_the_first_text_arrives_before_the_vendor_has_sent_the_second(vendor, provider):
    may_go_on = threading.Event()
    vendor.script = streams("first", "second", before=lambda index: index and may_go_on.wait(5))
    events = provider.stream("m", ASK)

    assert next(events) == TextDelta("first")
    may_go_on.set()
    assert next(events) == TextDelta("second")


def fragment(text="", *, name=None, **place):
    """Return a chunk with a piece of a tool call. `place` has the fields `index` and `id` as far as the server sends them."""
    call = place | {"function": {"arguments": text} | ({"name": name} if name else {})}
    return sse({"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]})


def in_pieces(first, *others, index, id):
    """Return a call in pieces, of which only the first has the id and the name."""
    return [fragment(first, name="weather", index=index, id=id), *(fragment(text, index=index) for text in others)]


ROME, OSLO = '{"city": "Rome"}', '{"city": "Oslo"}'


@pytest.mark.parametrize(
    "pieces",
    [
        # Ollama numbers all calls 0.
        [fragment(ROME, name="weather", index=0, id="a"), fragment(OSLO, name="weather", index=0, id="b")],
        [*in_pieces("", ROME, index=0, id="a"), *in_pieces("", OSLO[:5], OSLO[5:], index=0, id="b")],
        [*in_pieces(ROME, index=0, id="a"), *in_pieces(OSLO, index=0, id="b"), *in_pieces("{}", index=1, id="c")],
        # Gemini may send no number.
        [fragment(ROME, name="weather", id="a"), fragment(OSLO, name="weather", id="b")],
        [fragment(ROME, name="weather", index=None, id="a"), fragment(OSLO, name="weather", index=None, id="b")],
        # Neither numbers nor ids.
        [fragment(ROME, name="weather", id=""), fragment(OSLO, name="weather", id="")],
        # Servers that send the id late, or repeat id and name in each piece.
        [fragment("", name="weather", index=0), fragment(ROME, name="weather", index=0, id="a"), *in_pieces(OSLO, index=1, id="b")],
        [*(fragment(half, name="weather", index=0, id="a") for half in halves(ROME)), *in_pieces(OSLO, index=1, id="b")],
    ],
)
@pytest.mark.parametrize("shows_call_deltas", [False, True])
def test_parallel_calls_stay_apart_also_if_the_server_numbers_them_alike(vendor, provider, pieces, shows_call_deltas):
    vendor.script = says(b"".join([*pieces, chunk(finish="tool_calls")]))
    events = list(provider.stream("m", replace(ASK, shows_call_deltas=shows_call_deltas)))
    calls = [event for event in events if isinstance(event, ToolCall)]
    deltas = {event.id: event.index for event in events if isinstance(event, ToolCallDelta)}

    assert [call.arguments for call in calls][:2] == [ROME, OSLO]
    assert len({call.id for call in calls}) == len(calls)
    assert not shows_call_deltas or [*deltas] == [call.id for call in calls]
    assert len(set(deltas.values())) == len(deltas)


@pytest.mark.parametrize("place", [{"index": 0, "id": "call_0"}, {"index": 0}, {"index": 0, "id": ""}])
@pytest.mark.parametrize("shows_call_deltas", [False, True])
def test_a_call_has_the_id_of_no_earlier_call_although_the_server_begins_its_numbers_anew(vendor, provider, place, shows_call_deltas):
    vendor.script = says(fragment(ROME, name="weather", **place) + chunk(finish="tool_calls"))
    messages, ids = [*ASK.messages], []
    for _ in range(3):
        events = list(provider.stream("m", replace(ASK, messages=messages, shows_call_deltas=shows_call_deltas)))
        call = next(event for event in events if isinstance(event, ToolCall))
        messages += [Message("assistant", [call]), Message("tool", [ToolResult(call.id, "sun")])]
        ids += [{event.id for event in events if isinstance(event, ToolCall | ToolCallDelta)}]

    assert [len(each) for each in ids] == [1, 1, 1]
    assert len(set.union(*ids)) == 3
    assert not place.get("id") or "call_0" in ids[0]


def test_two_calls_of_an_answer_have_different_ids_although_the_server_gives_them_one(vendor, provider):
    vendor.script = says(
        fragment(ROME, name="weather", index=0, id="a") + fragment(OSLO, name="weather", index=1, id="a") + chunk(finish="stop")
    )
    calls = [event for event in provider.stream("m", ASK) if isinstance(event, ToolCall)]

    assert [call.arguments for call in calls] == [ROME, OSLO]
    assert calls[0].id != calls[1].id


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_an_answer_that_the_server_broke_off_is_not_complete(vendor, provider, reason):
    vendor.script = says(chunk("Hel") + chunk(finish=reason))

    with pytest.raises(ProviderFailed, match=reason):
        list(provider.stream("m", ASK))


def test_an_answer_that_fills_the_context_is_cut_short(vendor, provider):
    vendor.script = says(chunk("Hel") + chunk(finish="model_length"))

    assert list(provider.stream("m", ASK))[-1].reason == "length"


def test_the_request_is_sent_in_the_vendors_format(vendor, provider):
    list(provider.stream("its-model", ASK))
    headers, body = vendor.requests[0]

    assert headers["authorization"] == "Bearer k"
    assert body["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == ("its-model", 9, 0.5, True)


def test_openai_itself_gets_the_newer_name_of_the_output_limit(vendor):
    dialect = Dialect(limit_field="max_completion_tokens")
    provider = vendor.closing(OpenAIProvider("openai", api_key="k", base_url=vendor.url, dialect=dialect))
    list(provider.stream("m", ASK))

    assert vendor.requests[0][1]["max_completion_tokens"] == 9


def test_a_connection_is_reused_because_a_handshake_costs_more_than_a_turn(vendor, provider):
    vendor.script = keeps_alive("Hel", "lo")
    [list(provider.stream("m", ASK)) for _ in range(3)]

    assert len({headers["x-peer-port"] for headers, _ in vendor.requests}) == 1


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_vendor_under_load_is_busy_for_the_time_it_requests(vendor, provider, status):
    vendor.script = refuses(status, headers={"Retry-After": "7"})

    with pytest.raises(ProviderBusy) as caught:
        list(provider.stream("m", ASK))
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize("header", ["inf", "nan", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", ""])
def test_an_invalid_retry_after_is_ignored(vendor, provider, header):
    vendor.script = refuses(429, headers={"Retry-After": header})

    with pytest.raises(ProviderBusy) as caught:
        list(provider.stream("m", ASK))
    assert 0 < caught.value.retry_after_s <= 3600


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_errors_that_repeating_cannot_help_are_refusals(vendor, provider, status):
    vendor.script = refuses(status)

    with pytest.raises(ProviderRefused) as caught:
        list(provider.stream("m", ASK))
    assert not caught.value.retryable


def test_a_failed_call_is_not_repeated_by_the_sdk(vendor, provider):
    vendor.script = refuses(500)

    with pytest.raises(ProviderFailed):
        list(provider.stream("m", ASK))
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"data: not json\n\n",
        b"",
        chunk("cut"),
        b'data: {"error": {"message": "overloaded"}}\n\n',
        b'data: {"choices": 3}\n\n',
        b"data: []\n\n",
    ],
)
def test_an_unreadable_response_is_a_failure_of_the_vendor(vendor, provider, raw):
    vendor.script = says(raw)

    with pytest.raises(ProviderFailed):
        list(provider.stream("m", ASK))


def test_a_vendor_that_does_not_respond_times_out(vendor):
    vendor.script = streams("late", before=lambda _: threading.Event().wait(1))
    provider = vendor.closing(OpenAIProvider("acme", api_key="k", base_url=vendor.url, timeout_s=0.2))

    with pytest.raises(ProviderTimeout):
        list(provider.stream("m", ASK))


def test_an_unreachable_vendor_is_a_failure():
    with pytest.raises(ProviderFailed):
        list(OpenAIProvider("acme", api_key="k", base_url="http://127.0.0.1:9/v1").stream("m", ASK))


def test_the_key_is_in_no_error(vendor):
    vendor.script = refuses(401, message="bad key")
    provider = vendor.closing(OpenAIProvider("acme", api_key="sk-very-secret", base_url=vendor.url))

    with pytest.raises(ProviderRefused) as caught:
        list(provider.stream("m", ASK))
    assert "very-secret" not in str(caught.value)


def test_openais_environment_variables_are_sent_to_no_other_vendor(vendor, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ours")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-ours")
    list(vendor.closing(OpenAIProvider("acme", api_key="k", base_url=vendor.url)).stream("m", ASK))

    assert "ours" not in str(vendor.requests[0][0])


def test_an_exhausted_quota_is_a_misconfiguration(vendor, provider):
    vendor.script = refuses(429, document={"error": {"message": "pay", "type": "insufficient_quota", "code": "insufficient_quota"}})

    with pytest.raises(ProviderMisconfigured):
        list(provider.stream("m", ASK))


def test_usage_is_estimated_if_the_vendor_reports_none(vendor, provider):
    vendor.script = says(chunk("Hello") + chunk(finish="stop"))
    end = list(provider.stream("m", ASK))[-1]

    assert end.usage.is_estimated
    assert end.usage.input_tokens > 0 < end.usage.output_tokens


def test_a_redirect_is_not_followed_because_the_key_would_be_sent_along(vendor, provider):
    vendor.script = refuses(307, headers={"Location": f"{vendor.url}/elsewhere"})

    with pytest.raises(ProviderFailed):
        list(provider.stream("m", ASK))
    assert len(vendor.requests) == 1
