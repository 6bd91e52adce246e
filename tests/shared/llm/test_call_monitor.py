"""One call of a model while its answer arrives."""

import threading
import time
from itertools import count
from types import SimpleNamespace

import pytest

from parley.llm import call_monitor
from parley.llm.call_monitor import CallMonitor
from parley.llm.guards.clients import GuardedProvider
from parley.llm.messages import Finished, Message, ModelRequest, ReasoningDelta, TextDelta, Usage
from parley.llm.model import GuardSettings, Model, ModelCall, WordGuard
from tests.fakes.wire_formats import anthropic, bedrock, chat, responses
from tests.fakes.wire_formats.wire_format import sse


def test_the_waits_for_all_events_are_added_up(monkeypatch):
    seconds = count(1000)
    monkeypatch.setattr(call_monitor, "time", SimpleNamespace(monotonic=time.monotonic, perf_counter=lambda: next(seconds)))
    call, events = ModelCall("m", Model(provider="offline", name="m")), [TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage())]
    list(CallMonitor(call, iter(events), ModelRequest([Message("user", "?")]), left_s=lambda: 60.0))

    assert call.waited_s == len([*events, "end"])


THOUGHT = anthropic.block(0, {"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "Hm."})
REASONING = [
    (chat.OPENAI, [chat.chunk({"reasoning_content": "Hm."})], chat.texts("Hello")),
    (chat.OPENAI, [chat.chunk({"reasoning": "Hm."})], chat.texts("Hello")),
    (
        bedrock.BEDROCK,
        bedrock.framed(*bedrock.block(0, {"reasoningContent": {"text": "Hm."}}), reason="end_turn")[:2],
        bedrock.texts("Hello")[1:],
    ),
    (responses.RESPONSES, [responses.added(responses.REASONING)], responses.texts("Hello")),
    (responses.RESPONSES, [sse({"type": "response.reasoning_text.delta", "delta": "Hm."})], responses.texts("Hello")),
    (responses.RESPONSES, [sse({"type": "response.reasoning_summary_text.delta", "delta": "Hm."})], responses.texts("Hello")),
    (anthropic.ANTHROPIC, anthropic.framed(*THOUGHT, reason="end_turn")[:4], anthropic.framed(reason="end_turn")[2:]),
]


@pytest.mark.parametrize("is_guarded", [False, True])
@pytest.mark.parametrize(("wire", "reasoning", "answer"), REASONING)
def test_a_model_that_reasons_for_long_is_not_given_up_although_nobody_sees_it(vendor, wire, reasoning, answer, is_guarded):
    """The pause before the answer is longer than the wait for the first event."""
    pause = threading.Event()
    wire.plays(vendor, [*reasoning, *answer], before=lambda index: index == len(reasoning) and pause.wait(0.6))
    provider = wire.provider(vendor)
    if is_guarded:
        provider = GuardedProvider(provider, "acme", GuardSettings(words=WordGuard(words=("tern",))))
    call, request = ModelCall("m", Model(provider="openai", name="m", timeout_s=0.3)), ModelRequest([Message("user", "?")])
    events = list(CallMonitor(call, provider.stream("m", request), request, left_s=lambda: 60.0))

    assert (call.status, type(events[-1])) == ("completed", Finished)
    assert not any(isinstance(event, ReasoningDelta) for event in events)
