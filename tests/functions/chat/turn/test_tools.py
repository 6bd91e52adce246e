"""The tool loop of a turn: the model's tool calls are run, and the model is called again with the results."""

import threading
from dataclasses import replace

import pytest

from functions.chat.turn.events import TurnCompleted, TurnInterrupted, TurnStopped
from parley import turn_recovery
from parley.errors import InvalidInput
from parley.llm import messages as llm
from parley.llm.catalogue import Catalogue
from parley.llm.errors import ProviderFailed
from parley.llm.prompts import TOOL_RESULT_HEADING
from parley.tools.outcome import MAX_RESULT_BYTES, truncate_result
from parley.turn_recovery import interrupt_if_stale
from tests.support.toolbox import DONE, RecordingToolbox, ScriptedRounds, tool_calls_answer, tool_results
from tests.support.turns import events_of, make_services, stored_messages, take, take_numbered

EITHER = """
[roles]
chat = "first"
[models.first]
provider = "openai-compatible"
name = "first"
base_url = "http://127.0.0.1:9/v1"
abilities = ["tools"]
[models.second]
provider = "openai-compatible"
name = "second"
base_url = "http://127.0.0.1:9/v1"
abilities = ["tools"]
[strategies.either]
kind = "fallback"
models = ["first", "second"]
"""


@pytest.fixture
def take_turn(engine, alice):
    """Take a turn with tools, and return its events and the requests to the model."""

    def take_turn(*scripts, toolbox=None, person=alice, **options):
        provider = ScriptedRounds(*scripts)
        toolbox = toolbox or RecordingToolbox().add("calculator", lambda expression: "105").add("clock", lambda: "noon")
        events = take(make_services(engine, provider, toolbox=toolbox), person, **{"model": "handy", "tools": True} | options)
        return events, provider.requests

    return take_turn


SUM = ("c1", "calculator", {"expression": "0.125 * 840"})


def test_a_call_is_run_and_its_result_sent_to_the_model(take_turn):
    events, (_, second) = take_turn(tool_calls_answer(llm.TextDelta("Let me see. "), SUM), DONE)
    names = [event.name for event in events]

    assert names == ["turn.started", "text.delta", "tool.call", "tool.result", "text.delta", "turn.completed"]
    assert events[2].data() == {"call_id": "c1", "name": "calculator", "arguments": {"expression": "0.125 * 840"}}
    assert [message.role for message in second.messages] == ["user", "assistant", "tool"]
    assert tool_results(second) == [llm.ToolResult("c1", TOOL_RESULT_HEADING + "105")]


def test_all_rounds_are_one_answer_with_one_usage(take_turn, engine, alice):
    events, _ = take_turn(tool_calls_answer(llm.TextDelta("Let me see. "), SUM), DONE)
    answer = stored_messages(engine, alice, events[0].conversation_id)[-1]

    assert (answer.role, answer.text, events[-1].usage.input_tokens) == ("assistant", "Let me see. Done.", 200)
    assert [part["type"] for part in answer.parts] == ["text", "tool_call", "tool_result", "text"]


def test_a_thought_is_sent_back_with_its_calls_and_never_shown(take_turn, engine, chat, conversation, alice):
    thought = llm.Thought("acme/handy", "sealed")
    events, (_, second) = take_turn(tool_calls_answer(thought, SUM), DONE)
    shown = conversation.get(f"/conversations/{events[0].conversation_id}/messages", as_=alice)

    assert second.messages[1].parts[0] == thought
    assert b"sealed" not in shown.body


def test_the_next_turn_has_the_calls_of_the_turn_before(take_turn):
    events, _ = take_turn(tool_calls_answer(SUM), DONE)
    _, (request,) = take_turn(DONE, conversation_id=events[0].conversation_id)

    assert [message.role for message in request.messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert [part.name for part in request.messages[1].parts] == ["calculator"]


@pytest.mark.parametrize("options", [{"model": "offline"}, {"tools": False}])
def test_a_model_without_tools_sees_no_earlier_calls(take_turn, options):
    events, _ = take_turn(tool_calls_answer(SUM), DONE)
    _, (request,) = take_turn(DONE, conversation_id=events[0].conversation_id, **options)

    assert [(message.role, message.text) for message in request.messages][1:2] == [("assistant", "Done.")]
    assert request.tools == []


def test_two_calls_of_a_round_are_run_side_by_side(take_turn):
    together = threading.Barrier(2, timeout=5)
    toolbox = RecordingToolbox().add("one", lambda: together.wait() >= 0).add("two", lambda: together.wait() >= 0)
    events, _ = take_turn(tool_calls_answer(("a", "one", {}), ("b", "two", {})), DONE, toolbox=toolbox)

    assert [event.ok for event in events if event.name == "tool.result"] == [True, True]


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (llm.ToolCall("c1", "nonsense", "{}"), "Unknown tool 'nonsense'."),
        (llm.ToolCall("c1", "clock", '{"when": 1e999}'), "Not run: the arguments are not valid JSON."),
        (llm.ToolCall("c1", "clock", '{"a":' * 50 + "1" + "}" * 50), "Not run: the arguments are not valid JSON."),
        (llm.ToolCall("c1", "clock", '{"surprise": "\\u0000"}'), "The tool failed."),
    ],
)
def test_a_call_that_cannot_run_gets_a_result_that_says_why(take_turn, call, result):
    events, (_, second) = take_turn(tool_calls_answer(call), DONE)

    assert isinstance(events[-1], TurnCompleted)
    assert tool_results(second) == [llm.ToolResult("c1", TOOL_RESULT_HEADING + result, is_error=True)]


def test_a_tool_that_hangs_times_out(take_turn, monkeypatch):
    monkeypatch.setattr("functions.chat.turn.tools.TOOL_GRACE_S", 0.1)
    let_go = threading.Event()
    toolbox = RecordingToolbox().add("slow", lambda: let_go.wait(20), timeout_s=0.2).add("clock", lambda: "noon")
    _, (_, second) = take_turn(tool_calls_answer(("a", "slow", {}), ("b", "clock", {})), DONE, toolbox=toolbox)
    let_go.set()

    assert [(one.is_error, one.text.removeprefix(TOOL_RESULT_HEADING)) for one in tool_results(second)] == [
        (True, "The tool did not answer in time."),
        (False, "noon"),
    ]


@pytest.mark.parametrize(("timeout_s", "given_s"), [(2.0, 2.0), (10.0, 9.5)])
def test_a_tool_and_its_grace_take_ten_seconds_at_most(take_turn, timeout_s, given_s):
    toolbox = RecordingToolbox().add("clock", lambda: "noon", timeout_s=timeout_s)
    take_turn(tool_calls_answer(("a", "clock", {})), DONE, toolbox=toolbox)

    assert toolbox.timeouts_s == [given_s]


def test_a_result_is_truncated_to_64_kib_with_a_note():
    long = truncate_result("ä" * 40_000)

    assert len(long.encode()) <= MAX_RESULT_BYTES
    assert long.endswith("longer.]")
    assert truncate_result("ä" * 32_768) == "ä" * 32_768


def test_after_eight_rounds_the_model_is_called_once_more_without_tools(take_turn):
    events, requests = take_turn(tool_calls_answer(("c", "clock", {})))
    ids = [event.call_id for event in events if event.name == "tool.call"]

    assert [request.tool_choice for request in requests] == ["auto"] * 8 + ["none"]
    assert len(set(ids)) == 8
    assert isinstance(events[-1], TurnCompleted)


@pytest.mark.parametrize(("calls", "refused", "choice"), [(15, 0, "auto"), (16, 0, "none"), (20, 4, "none")])
def test_an_answer_calls_at_most_sixteen_tools(take_turn, calls, refused, choice):
    toolbox = RecordingToolbox().add("clock", lambda: "noon")
    _, (_, second) = take_turn(tool_calls_answer(*((f"c{number}", "clock", {}) for number in range(calls))), DONE, toolbox=toolbox)

    assert (len(toolbox.ran), second.tool_choice) == (calls - refused, choice)
    assert [one.is_error for one in tool_results(second)] == [False] * (calls - refused) + [True] * refused


class FirstModelDown(ScriptedRounds):
    """A vendor whose model `first` is down. Records which models were called."""

    def __init__(self, *scripts):
        super().__init__(*scripts)
        self.called = []

    def stream(self, model_name, request):
        self.called.append(model_name)
        if model_name == "first":
            raise ProviderFailed("acme", "500")
        yield from super().stream(model_name, request)


def test_the_model_that_answered_is_called_first_in_the_next_round(engine, alice):
    vendor, toolbox = FirstModelDown(tool_calls_answer(("c", "clock", {})), DONE), RecordingToolbox().add("clock")
    catalogue = Catalogue.parse(EITHER, source="test")
    services = replace(make_services(engine, vendor, toolbox=toolbox), catalogue=lambda: catalogue)
    events = take(services, alice, model="either", tools=True)

    assert isinstance(events[-1], TurnCompleted)
    assert vendor.called[vendor.called.index("second") :] == ["second", "second"]


def test_the_calls_of_an_answer_that_breaks_off_are_never_run(take_turn):
    toolbox = RecordingToolbox().add("clock")
    events, _ = take_turn([llm.TextDelta("I "), llm.ToolCall("c", "clock", "{}"), ProviderFailed("acme", "reset")], toolbox=toolbox)

    assert isinstance(events[-1], TurnInterrupted)
    assert toolbox.ran == []


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_the_calls_of_an_answer_that_was_cut_short_are_never_run(take_turn, reason):
    toolbox = RecordingToolbox().add("clock")
    take_turn(tool_calls_answer(llm.TextDelta("I "), ("c", "clock", {}), reason=reason), toolbox=toolbox)

    assert toolbox.ran == []


def test_only_named_tools_are_offered(take_turn):
    _, (request,) = take_turn(DONE, tools=["clock"])

    assert [tool.name for tool in request.tools] == ["clock"]


def test_an_unknown_tool_is_refused_and_nothing_is_stored(take_turn, row, alice):
    with pytest.raises(InvalidInput):
        take_turn(DONE, tools=["clock", "nonsense"])

    assert row("SELECT count(*) FROM turns WHERE user_id = :id", id=alice.id) == (0,)


def test_a_stop_ends_a_turn_whose_tool_runs(engine, take_turn, alice):
    let_go, toolbox = threading.Event(), RecordingToolbox()
    toolbox.add("slow", lambda: let_go.wait(20))
    services = make_services(engine, ScriptedRounds(tool_calls_answer(("c", "slow", {})), DONE), toolbox=toolbox)
    events = events_of(take_numbered(services, alice, model="handy", tools=True))
    started = next(events)
    turn_recovery.request_stop(services.engine, alice.principal, started.turn_id)
    *_, last = events
    let_go.set()

    assert isinstance(last, TurnStopped)
    assert [part["type"] for part in stored_messages(engine, alice, started.conversation_id)[-1].parts] == ["tool_call"]


def test_a_call_without_a_result_has_one_in_the_next_turn(engine, take_turn, alice, change):
    events, _ = take_turn(tool_calls_answer(SUM), DONE)
    change("UPDATE messages SET parts = jsonb_path_query_array(parts, '$[0]') WHERE role = 'assistant' AND user_id = :id", id=alice.id)
    _, (request,) = take_turn(DONE, conversation_id=events[0].conversation_id)

    assert [one.is_error for one in tool_results(request)] == [True]
    assert [message.role for message in request.messages] == ["user", "assistant", "tool", "assistant", "user"]


def test_a_stale_turn_keeps_its_calls_and_results(engine, alice, log, age):
    provider, toolbox = (
        ScriptedRounds(tool_calls_answer(SUM), [lambda: dying.wait(10)]),
        RecordingToolbox().add("calculator", lambda expression: "105"),
    )
    dying = threading.Event()
    events = events_of(take_numbered(make_services(engine, provider, toolbox=toolbox), alice, model="handy", tools=True))
    started = next(events)
    thread = threading.Thread(target=lambda: list(events))
    thread.start()
    while len(log(started.turn_id)) < 3:
        pass
    age(started.turn_id), interrupt_if_stale(engine, started.turn_id, user_id=alice.id)
    dying.set(), thread.join()

    assert [part["type"] for part in stored_messages(engine, alice, started.conversation_id)[-1].parts] == ["tool_call", "tool_result"]


def test_each_model_call_is_reserved_and_paid(engine, alice, take_turn, row):
    toolbox = RecordingToolbox().add("calculator", lambda expression: "105")
    events, _ = take_turn(tool_calls_answer(SUM), tool_calls_answer(SUM), DONE, toolbox=toolbox, model="handy-priced")
    turn_id = events[0].turn_id

    assert row("SELECT count(*), sum(cost_usd) FROM usage WHERE turn_id = :id", id=turn_id) == (3, events[-1].usage.cost_usd)
    assert row("SELECT count(*) FROM budget_reservations WHERE user_id = :id", id=alice.id) == (0,)
    assert row("SELECT reserved_usd FROM budgets WHERE subject_id = :id", id=alice.id) == (0,)


def test_a_long_result_leaves_room_for_the_answer(take_turn):
    toolbox = RecordingToolbox().add("page", lambda: "word " * 12_000)
    calls = [(f"c{number}", "page", {}) for number in range(8)]
    _, (_, second) = take_turn(tool_calls_answer(*calls), DONE, toolbox=toolbox)

    assert all(one.text.endswith("longer.]") for one in tool_results(second))
    assert sum(len(one.text) for one in tool_results(second)) / 3 < 100_000
