"""One call of a model while its answer arrives."""

import time
from itertools import count
from types import SimpleNamespace

from parley.llm import call_monitor
from parley.llm.call_monitor import CallMonitor
from parley.llm.messages import Finished, Message, ModelRequest, TextDelta, Usage
from parley.llm.model import Model, ModelCall


def test_the_waits_for_all_events_are_added_up(monkeypatch):
    seconds = count(1000)
    monkeypatch.setattr(call_monitor, "time", SimpleNamespace(monotonic=time.monotonic, perf_counter=lambda: next(seconds)))
    call, events = ModelCall("m", Model(provider="offline", name="m")), [TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage())]
    list(CallMonitor(call, iter(events), ModelRequest([Message("user", "?")]), left_s=lambda: 60.0))

    assert call.waited_s == len([*events, "end"])
