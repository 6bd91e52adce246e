"""The tool calls of a round, which run beside each other, and the calls that overstay."""

import threading
from types import SimpleNamespace

import pytest

from functions.chat.turn.tools import ParallelToolCalls, ParsedToolCall
from parley.tools.outcome import ToolOutcome
from tests.fakes.cloudwatch import read_metrics, total


class SlowBox:
    """A toolbox whose tool `slow` waits, and whose other tools answer."""

    def __init__(self):
        self.let_go = threading.Event()

    def run(self, name, arguments, *, timeout_s, elicitation=None):
        if name == "slow":
            self.let_go.wait(20)
        return ToolOutcome(True, name, 0.0)


@pytest.fixture
def box():
    box = SlowBox()
    yield box
    box.let_go.set()


def test_a_call_that_overstays_is_given_up_and_its_late_result_dropped(box, monkeypatch, capsys):
    monkeypatch.setattr("functions.chat.turn.tools.TOOL_GRACE_S", 0.01)
    calls = [ParsedToolCall(name, name, {}) for name in ("slow", "quick")]
    running, ended = ParallelToolCalls(box, {calls[0]: 0.05, calls[1]: 5.0}, {}), {}
    while running.is_running:
        call, outcome = running.next(timeout_s=0.02) or (None, None)
        ended |= {call.name: outcome} if call else {}
    # A process that waited for this thread would never end.
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "tool"] == [True]
    box.let_go.set()

    assert {name: outcome.ok for name, outcome in ended.items()} == {"quick": True, "slow": False}
    assert 50 <= ended["slow"].elapsed_ms < 5_000
    assert total(read_metrics(capsys.readouterr().out), "ToolErrors") == 1
    assert (running.is_running, running.next(timeout_s=0.5)) == (False, None)


def test_a_call_is_given_up_half_a_second_after_its_own_limit(box, monkeypatch):
    clock = SimpleNamespace(now_s=100.0, monotonic=lambda: clock.now_s)
    monkeypatch.setattr("functions.chat.turn.tools.time", clock)
    running, ended = ParallelToolCalls(box, {ParsedToolCall("slow", "slow", {}): 5.0}, {}), []
    for clock.now_s in (105.4, 105.61239):
        ended.append(running.next(timeout_s=0))

    assert (ended[0], ended[1][1]) == (None, ToolOutcome(False, "The tool did not answer in time.", 5612.4))
