"""The common behaviour of all providers: their real SDKs against a fake vendor that speaks their formats."""

import json
import threading
import time
from dataclasses import replace

import pytest

from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderRejected, ProviderTimeout, UnusableAnswer
from parley.llm.messages import (
    Finished,
    Message,
    ModelRequest,
    OutputSchema,
    TextDelta,
    Thought,
    ToolCall,
    ToolCallDelta,
    ToolDefinition,
    ToolResult,
)
from parley.llm.provider import validated_events
from parley.llm.vendors import openai_chat
from tests.fakes.vendor import USAGE, refuses, resets, running_vendor
from tests.fakes.wire_formats import chat
from tests.fakes.wire_formats.all_formats import WIRE_FORMATS
from tests.fakes.wire_formats.anthropic import ANTHROPIC
from tests.fakes.wire_formats.bedrock import BEDROCK
from tests.fakes.wire_formats.wire_format import CALLS
from tests.support.time_limits import HANG_S

CALCULATOR = ToolDefinition("calculator", "Reckons.", {"type": "object", "properties": {"expression": {"type": "string"}}})
ASK = ModelRequest([Message("user", "hi")], system="be brief", max_output_tokens=9)
CANARY = "sk-canary-0123456789"


def read(wire, vendor, request=ASK, *, provider=None, **options):
    """Return the events and the error that ended them, if any."""
    events = []
    try:
        for event in validated_events((provider or wire.provider(vendor, **options)).stream("m", request), provider=wire.name):
            events.append(event)
    except ProviderFailed as error:
        return events, error
    return events, None


def texts_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_an_answer_arrives_in_parts_and_ends_with_the_vendors_usage(vendor, wire):
    wire.plays(vendor, wire.texts("Hel", "lo"))
    (*texts, end), _ = read(wire, vendor)

    assert texts == [TextDelta("Hel"), TextDelta("lo")]
    assert (end.reason, end.usage.input_tokens, end.usage.output_tokens, end.usage.cached_input_tokens) == ("stop", 12, 3, 4)
    assert not end.usage.is_estimated


def test_parallel_tool_calls_arrive_whole_and_before_the_end(vendor, wire):
    wire.plays(vendor, wire.calls())
    events, _ = read(wire, vendor)
    *_, first, second, end = events

    assert [first, second] == [ToolCall(*call) for call in CALLS]
    assert end.reason == "tool_calls"


def test_tool_calls_also_arrive_piece_by_piece_for_a_request_that_shows_them(vendor, wire):
    wire.plays(vendor, wire.calls())
    deltas = [event for event in read(wire, vendor, replace(ASK, shows_call_deltas=True))[0] if isinstance(event, ToolCallDelta)]
    pieces = {delta.id: [other.arguments for other in deltas if other.id == delta.id and other.arguments] for delta in deltas}

    assert {id: "".join(texts) for id, texts in pieces.items()} == {id: arguments for id, _, arguments in CALLS}
    assert ({len(texts) for texts in pieces.values()}, {delta.name for delta in deltas}) == ({2}, {name for _, name, _ in CALLS})


def test_a_tool_round_is_sent_back_with_its_thoughts(vendor, wire):
    wire.plays(vendor, wire.calls())
    (*parts, _), _ = read(wire, vendor)
    results = Message("tool", [ToolResult(part.id, "42") for part in parts if isinstance(part, ToolCall)])
    read(wire, vendor, ModelRequest([Message("user", "hi"), Message("assistant", parts), results], tools=[CALCULATOR]))

    assert str(vendor.last_body["messages" if "messages" in vendor.last_body else "input"]).count("'42'") == 2
    assert ("sealed" in str(vendor.last_body)) == any(isinstance(part, Thought) for part in parts)


def unended(wire, pieces, is_over, *, is_open):
    """Return a script that sends the pieces but not the empty one at the end, then leaves the connection open or breaks it."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", wire.content_type)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in pieces:
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.wfile.flush()
        is_over.wait(HANG_S if is_open else 0)

    return answer


@pytest.mark.parametrize("wire", [wire for wire in WIRE_FORMATS if wire is not BEDROCK], ids=lambda wire: wire.name)
@pytest.mark.parametrize("is_open", [True, False])
def test_a_whole_answer_counts_although_its_response_does_not_end(vendor, wire, is_open):
    is_over = threading.Event()
    vendor.script = unended(wire, wire.texts("Hel", "lo"), is_over, is_open=is_open)
    events, error = read(wire, vendor, timeout_s=3)
    is_over.set()

    assert error is None
    assert (texts_of(events), events[-1].reason) == ("Hello", "stop")


@pytest.mark.parametrize("has_usage", [True, False])
@pytest.mark.parametrize("wire", [chat.OPENAI, chat.MISTRAL], ids=lambda wire: wire.name)
@pytest.mark.parametrize("is_open", [True, False])
def test_an_answer_with_a_finish_reason_counts_although_the_server_does_not_end_it(vendor, monkeypatch, wire, is_open, has_usage):
    monkeypatch.setattr(openai_chat, "USAGE_S", 0.2)
    is_over = threading.Event()
    *pieces, done = wire.texts("Hel", "lo", **({} if has_usage else {"usage": None}))
    vendor.script = unended(wire, pieces, is_over, is_open=is_open)
    events, error = read(wire, vendor, timeout_s=3)
    is_over.set()

    assert (done, error) == (b"data: [DONE]\n\n", None)
    assert (texts_of(events), events[-1].reason, events[-1].usage.is_estimated) == ("Hello", "stop", not has_usage)


@pytest.mark.parametrize("wire", [chat.OPENAI, chat.MISTRAL], ids=lambda wire: wire.name)
def test_an_answer_goes_on_after_an_early_finish_reason_while_the_server_sends_more(vendor, monkeypatch, wire):
    """Each piece has a finish reason, and all of them together take longer than the wait after one."""
    monkeypatch.setattr(openai_chat, "USAGE_S", 0.4)
    pause, pieces = threading.Event(), [chat.chunk({"content": text}, finish="stop") for text in "Hello"]
    wire.plays(vendor, [*pieces, chat.chunk({}, usage=USAGE)], before=lambda _: pause.wait(0.15))
    events, error = read(wire, vendor)

    assert (texts_of(events), error, events[-1].usage.is_estimated) == ("Hello", None, False)


@pytest.mark.parametrize(
    ("said", "roles"),
    [
        ([Message("assistant", "I am here."), Message("user", "hi")], ["user", "assistant", "user"]),
        ([Message("system", "Greet.")], ["user"]),
        ([Message("user", " ")], ["user"]),
    ],
)
@pytest.mark.parametrize("wire", [ANTHROPIC, BEDROCK], ids=lambda wire: wire.name)
def test_the_user_begins_every_conversation_because_the_vendor_requires_it(vendor, wire, said, roles):
    """A window over a long conversation may begin with an answer, and a client may send nothing but a system message."""
    wire.plays(vendor, wire.texts("ok"))
    _, error = read(wire, vendor, ModelRequest(said))
    sent = vendor.last_body["messages"]

    assert (error, [message["role"] for message in sent]) == (None, roles)
    assert all(block["text"].strip() for message in sent for block in message["content"])


def test_a_thought_is_sent_to_no_other_model(vendor, wire):
    wire.plays(vendor, wire.texts("ok"))
    read(
        wire,
        vendor,
        ModelRequest([Message("user", "a"), Message("assistant", [Thought("else/where", '{"x": "sealed"}')]), Message("user", "b")]),
    )

    assert "sealed" not in str(vendor.last_body)


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_vendor_under_load_is_busy_for_the_time_it_requests(vendor, wire, status):
    vendor.script = refuses(status, headers={"Retry-After": "7"})
    _, error = read(wire, vendor)

    assert isinstance(error, ProviderBusy)
    assert error.retry_after_s == 7
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_key_is_a_misconfiguration(vendor, wire, status):
    vendor.script = refuses(status)
    _, error = read(wire, vendor)

    assert isinstance(error, ProviderMisconfigured)
    assert (error.status, error.code, error.retryable) == (502, "provider_misconfigured", False)


def test_a_rejection_shows_the_vendors_reason_and_does_not_log_it(vendor, wire):
    document = {"error": {"message": "image too large", "type": "invalid_request_error"}, "message": "image too large"}
    vendor.script = refuses(400, document=document)
    _, error = read(wire, vendor)

    assert isinstance(error, ProviderRejected)
    assert "image too large" in error.public_message
    assert "image" not in str(error)
    assert not error.retryable


def test_a_failed_call_is_not_repeated_by_the_sdk(vendor, wire):
    vendor.script = refuses(500)
    _, error = read(wire, vendor)

    assert type(error) is ProviderFailed
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(("status", "is_outage"), [(400, False), (429, False), (500, False), (502, False), (503, True), (529, True)])
def test_only_a_vendor_that_says_so_is_down_for_everybody(vendor, wire, status, is_outage):
    vendor.script = refuses(status)

    assert read(wire, vendor)[1].is_outage == is_outage


def test_a_vendor_that_cannot_be_reached_is_down_for_everybody(wire):
    with running_vendor() as vendor:
        provider = wire.provider(vendor)
        vendor.callers.pop_all()
    _, error = read(wire, vendor, provider=provider)
    provider.close()

    assert (type(error), error.is_outage) == (ProviderFailed, True)


@pytest.fixture
def nonsense():
    """Script the arguments of the second tool call as text that is no JSON, and return the text."""
    before = CALLS[1]
    CALLS[1] = (*before[:2], '{"city": "Zür')
    yield CALLS[1][2]
    CALLS[1] = before


def test_arguments_that_are_no_json_make_the_answer_unusable(vendor, wire, nonsense):
    wire.plays(vendor, wire.calls())

    assert type(read(wire, vendor)[1]) is UnusableAnswer


def test_arguments_that_are_no_json_reach_a_client_that_runs_the_tools_and_return_as_they_were(vendor, wire, nonsense):
    wire.plays(vendor, wire.calls())
    calls = [event for event in read(wire, vendor, replace(ASK, client_runs_tools=True))[0] if isinstance(event, ToolCall)]
    history = [*ASK.messages, Message("assistant", calls), Message("tool", [ToolResult(call.id, "no") for call in calls])]
    wire.plays(vendor, wire.texts("ok"))
    _, error = read(wire, vendor, ModelRequest(history, client_runs_tools=True))

    assert (calls[1].arguments, error) == (nonsense, None)
    assert json.dumps(nonsense)[1:-1] in json.dumps(vendor.last_body)


def test_a_vendor_that_does_not_respond_times_out(vendor, wire):
    vendor.script = lambda _: threading.Event().wait(1)
    _, error = read(wire, vendor, timeout_s=0.2)

    assert isinstance(error, ProviderTimeout)


def test_a_timeout_equal_to_the_sdks_default_is_respected(vendor, wire):
    wire.plays(vendor, wire.texts("ok"))
    read(wire, vendor, timeout_s=5.0)

    assert vendor.requests[0][0].get("x-stainless-read-timeout", "5.0") == "5.0"


def test_a_stall_in_mid_stream_times_out_after_the_events_so_far(vendor, wire):
    pieces = wire.texts("Hel", "lo")
    wire.plays(vendor, pieces, before=lambda index: index == len(pieces) // 2 and threading.Event().wait(1))
    events, error = read(wire, vendor, timeout_s=0.3)

    assert texts_of(events).startswith("Hel")
    assert isinstance(error, ProviderTimeout)


def test_a_reset_is_a_failure_of_the_vendor(vendor, wire):
    vendor.script = resets
    _, error = read(wire, vendor)

    assert type(error) is ProviderFailed


@pytest.mark.parametrize("raw", [b"data: not json\n\n", b"", b"data: []\n\n", b"data: 3\n\n", b"\x00\x01\x02" * 20, b"<html>sorry</html>"])
def test_unreadable_data_is_a_failure_of_the_vendor(vendor, wire, raw):
    wire.plays(vendor, [raw])
    events, error = read(wire, vendor)

    assert events == []
    assert (type(error) in {ProviderFailed, UnusableAnswer}, error.is_outage) == (True, False)


def test_a_stream_cut_anywhere_delivers_a_prefix_and_no_end(vendor, wire):
    text = "Grüße 🙂"
    pieces = wire.texts("ab", text)
    whole = b"".join(pieces)
    last_text = whole.index("🙂".encode())
    boundaries = {sum(map(len, pieces[:count])) for count in range(1, len(pieces) - 2)}
    provider = wire.provider(vendor)
    for cut in sorted(boundaries | {last_text + offset for offset in range(-8, 5)}):
        wire.plays(vendor, [whole[:cut]])
        events, error = read(wire, vendor, provider=provider)

        assert error is not None or isinstance(events[-1], Finished)
        assert f"ab{text}".startswith(texts_of(events))
        assert "\N{REPLACEMENT CHARACTER}" not in texts_of(events)
        assert type(error) is ProviderFailed, cut


def test_a_cut_tool_round_calls_no_tool(vendor, wire):
    whole = b"".join(wire.calls())
    end = whole.index("Zürich".encode()[:2]) if "Zürich".encode()[:2] in whole else len(whole) // 2
    provider = wire.provider(vendor)
    for cut in range(end - 20, end + 10):
        wire.plays(vendor, [whole[:cut]])
        events, error = read(wire, vendor, provider=provider)

        assert type(error) is ProviderFailed
        assert not [event for event in events if isinstance(event, ToolCall)]


def test_the_key_is_in_no_error(vendor, wire, caplog):
    for status in (400, 401, 429, 500):
        vendor.script = refuses(status, message=f"bad key {CANARY}")
        _, error = read(wire, vendor, key=CANARY)
        seen, link = [repr(error), error.public_message], error
        while link := link.__cause__:
            seen.append(repr(link))

        assert CANARY not in "".join([*seen, caplog.text]) or wire.name == "bedrock"  # Bedrock gets no key


def close_while_it_waits(vendor, wire, pieces, waiting, released):
    wire.plays(vendor, pieces, before=lambda index: index == len(pieces) - 1 and (waiting.set(), released.wait(20)))
    answer = wire.provider(vendor, timeout_s=30).stream("m", ASK)
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(answer))
    reader.start()
    assert waiting.wait(10)
    time.sleep(0.1)  # until the reader has read everything and blocks
    answer.close()
    reader.join(5)
    return seen, reader.is_alive()


def test_another_thread_ends_a_blocked_read(vendor, wire):
    released = threading.Event()
    seen, is_stuck = close_while_it_waits(vendor, wire, wire.texts("Hel", "lo"), threading.Event(), released)
    released.set()

    assert not is_stuck
    assert not [event for event in seen if isinstance(event, Finished)]


def test_another_thread_ends_a_wait_for_the_first_byte(vendor, wire):
    if wire.name == "bedrock":
        pytest.skip("botocore shows its connection only once it answers")
    waiting, released = threading.Event(), threading.Event()
    vendor.script = lambda _: (waiting.set(), released.wait(20))
    answer, seen = wire.provider(vendor, timeout_s=30).stream("m", ASK), []
    reader = threading.Thread(target=lambda: seen.extend(answer))
    reader.start()
    assert waiting.wait(10)
    answer.close()
    reader.join(5)
    released.set()

    assert not reader.is_alive()
    assert seen == []


def test_a_closed_answer_has_no_more_events(vendor, wire):
    wire.plays(vendor, wire.texts("Hel", "lo"))
    with wire.provider(vendor).stream("m", ASK) as answer:
        first = next(answer)

    assert first == TextDelta("Hel")
    assert list(answer) == []


def test_an_output_schema_is_sent(vendor, wire):
    wire.plays(vendor, wire.texts("{}"))
    read(wire, vendor, ModelRequest([Message("user", "hi")], output=OutputSchema("shape", {"type": "object", "title": "the-schema"})))

    assert "the-schema" in str(vendor.last_body)
