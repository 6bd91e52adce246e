"""A turn's events in the form of AG-UI, checked by `ag-ui-validate`."""

import json
import re

import pytest
from ag_ui_validate.pytest_plugin import assert_valid_agui

from functions.chat.ag_ui.events import ag_ui_events
from functions.chat.turn.events import NumberedEvent, Ping, ReplayedEvent
from parley.llm import messages as llm
from parley.tools.forms import form_of_model
from tests.support.toolbox import DONE, RecordingToolbox, ScriptedRounds, tool_calls_answer
from tests.support.turns import make_services, take_numbered

IDS = {"turn_id": "t", "conversation_id": "c"}
FAILED = {"code": "provider_busy", "detail": "The model is busy. Try again shortly."}
BOTH = tool_calls_answer(llm.TextDelta("I write. "), ("w", "write", {"to": "bob"}), ("c", "clock", {}))


def translated(events):
    """Return a turn's events in AG-UI's form, after a check of the whole stream."""
    found = [event for event in ag_ui_events(iter(events)) if not isinstance(event, Ping)]
    assert_valid_agui(found, max_warnings=0)
    return found


def types(events):
    return [event["type"] for event in events]


def replayed(*named):
    """Return a turn's events, of which the first is its start, by their names and data."""
    return [NumberedEvent(n, ReplayedEvent(name, data)) for n, (name, data) in enumerate([("turn.started", IDS), *named], start=1)]


def ask(chat, person, **fields):
    return chat.post("/chat?format=ag-ui", {"message": "hello"} | fields, as_=person)


def streamed(answer):
    """Return the events of a stream, after a check of them."""
    found = [json.loads(data) for data in re.findall(r"^data: (.+)$", answer.body.decode(), re.MULTILINE)]
    assert_valid_agui(found, max_warnings=0)
    return found


def joined(events):
    """Return the events with the deltas of the only message as one text: a replay may join them."""
    others = [event for event in events if event["type"] != "TEXT_MESSAGE_CONTENT"]
    return others, "".join(event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT")


def test_an_answer_is_a_run_with_one_message(chat, alice):
    started, opened, *deltas, closed, ended = streamed(ask(chat, alice))

    assert types([started, opened, closed, ended]) == ["RUN_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_END", "RUN_FINISHED"]
    assert "hello" in "".join(delta["delta"] for delta in deltas)
    assert (ended["outcome"], ended["runId"], ended["threadId"]) == ({"type": "success"}, started["runId"], started["threadId"])


def test_the_events_of_a_turn_can_be_read_again_from_its_first_on(chat, alice):
    first = streamed(ask(chat, alice))
    url = f"/chat/turns/{first[0]['runId']}/events?after=2&format=ag-ui"
    again = streamed(chat.get(url, as_=alice, headers={"Last-Event-ID": "3"}))

    assert joined(again) == joined(first)


def test_a_repeated_request_gets_all_events_again(chat, alice):
    headers = {"Idempotency-Key": "k1", "Last-Event-ID": "2"}
    first, again = (streamed(chat.post("/chat?format=ag-ui", {"message": "hello"}, as_=alice, headers=headers)) for _ in range(2))

    assert joined(again) == joined(first)


def test_tool_calls_have_their_arguments_and_results_and_part_the_messages(engine, alice):
    toolbox = RecordingToolbox().add("clock", lambda: "noon").add("write", lambda to: f"sent to {to}")
    services = make_services(engine, ScriptedRounds(BOTH, DONE), toolbox=toolbox)
    events = translated(take_numbered(services, alice, model="handy", tools=True))
    results = [event for event in events if event["type"] == "TOOL_CALL_RESULT"]

    assert [event["messageId"][-2:] for event in events if event["type"] == "TEXT_MESSAGE_START"] == ["-1", "-2"]
    assert [event["delta"] for event in events if event["type"] == "TOOL_CALL_ARGS"] == ['{"to": "bob"}', "{}"]
    assert sorted((event["toolCallId"], event["content"].splitlines()[-1]) for event in results) == [("c", "noon"), ("w", "sent to bob")]


def test_a_turn_that_waits_ends_its_run_with_an_interrupt_for_each_approval(engine, alice):
    toolbox = RecordingToolbox().add("clock", lambda: "noon").add("write", lambda to: "sent", requires_approval=True)
    services = make_services(engine, ScriptedRounds(BOTH), toolbox=toolbox)
    outcome = translated(take_numbered(services, alice, model="handy", tools=True))[-1]["outcome"]

    assert outcome["type"] == "interrupt"
    assert [(one["id"], one["toolCallId"], one["reason"]) for one in outcome["interrupts"]] == [("w", "w", "approval")]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (("turn.stopped", {"reason": "requested"}), {"type": "RUN_FINISHED", "outcome": {"type": "cancelled"}}),
        (("turn.interrupted", {"reason": "provider_failed"}), {"type": "RUN_ERROR", "code": "provider_failed"}),
        (("turn.failed", FAILED), {"type": "RUN_ERROR", "code": "provider_busy", "message": FAILED["detail"]}),
    ],
)
def test_a_turn_that_ends_early_closes_its_message_and_says_how(end, expected):
    *_, closed, last = translated(replayed(("text.delta", {"text": "Hel"}), end))

    assert (closed["type"], expected.items() <= last.items()) == ("TEXT_MESSAGE_END", True)


@pytest.mark.parametrize("name", ["memory", "source"])
def test_memories_and_sources_are_custom_events(name):
    _, custom, _ = translated(replayed((name, {"text": "It rains."}), ("turn.completed", {})))

    assert custom == {"type": "CUSTOM", "name": f"parley.{name}", "value": {"text": "It rains."}}


def test_a_ping_stays_a_comment_of_the_stream():
    assert list(ag_ui_events(iter([Ping()]))) == [Ping()]


def test_an_unknown_form_is_refused(chat, alice):
    assert chat.post("/chat?format=other", {"message": "hello"}, as_=alice).status == 422


def test_a_question_is_an_interrupt_with_its_form():
    form = form_of_model({"questions": [{"text": "Which city?", "kind": "text"}]}).model_dump(mode="json")
    call = {"call_id": "q", "name": "ask_user", "arguments": {}}
    question = {"question_id": "q", "call_id": "q", "name": "ask_user", "form": form}
    events = translated(replayed(("tool.call", call), ("tool.question", question), ("turn.waiting", {"call_ids": ["q"]})))
    (interrupt,) = events[-1]["outcome"]["interrupts"]

    assert (interrupt["id"], interrupt["reason"], interrupt["message"]) == ("q", "input", "Which city?")
    assert interrupt["metadata"]["form"] == form
