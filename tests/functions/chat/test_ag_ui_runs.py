"""AG-UI's own request, made and read by the models of `ag-ui-protocol`."""

import json
import re
from uuid import NAMESPACE_URL, uuid4, uuid5

import pytest
from ag_ui.core import Event, RunAgentInput, UserMessage
from ag_ui_validate.pytest_plugin import assert_valid_agui
from pydantic import TypeAdapter

from parley.db.turn import turn_begin
from parley.ids import new_id
from tests.functions.chat.turn.test_approvals import BOTH, over_http, toolbox  # noqa: F401 - fixtures
from tests.support.concurrency import closing_engine
from tests.support.images import PNG_DATA_URL
from tests.support.toolbox import DONE, ScriptedRounds, tool_calls_answer
from tests.support.turns import HELLO, make_services, stored_messages, take

EVENT = TypeAdapter(Event)


def run_input(text="hello", *, thread="thread 1", run=None, **fields):
    """Return a request as AG-UI's clients send it."""
    messages = [UserMessage(id="m", content=text)]
    body = RunAgentInput(thread_id=thread, run_id=run or str(uuid4()), state={}, messages=messages, tools=[], context=[], **fields)
    return json.loads(body.model_dump_json(by_alias=True))


def data_of(answer):
    assert answer.status == 200, answer.body
    return [json.loads(data) for data in re.findall(r"^data: (.+)$", answer.body.decode(), re.MULTILINE)]


def events_of(answer, earlier=None):
    """Return the events of a run, after a check by the protocol's models and by its validator.

    The validator knows tool calls of an `earlier` run from a snapshot of the messages, as a client has them.
    """
    started, *others = data_of(answer)
    names = {event["toolCallId"]: event["toolCallName"] for event in data_of(earlier) if "toolCallName" in event} if earlier else {}
    calls = [{"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}} for id, name in names.items()]
    history = [{"type": "MESSAGES_SNAPSHOT", "messages": [{"id": "h", "role": "assistant", "toolCalls": calls}]}] if earlier else []
    assert_valid_agui([started, *history, *others], max_warnings=0)
    return [EVENT.validate_python(event) for event in (started, *others)]


@pytest.fixture
def run(chat, alice):
    """Run the agent as alice, and return the events."""
    return lambda *args, **fields: events_of(chat.post("/chat/ag-ui", run_input(*args, **fields), as_=alice))


def turn_of(events):
    return next(event.value for event in events if event.type == "CUSTOM" and event.name == "parley.turn")


def test_a_run_has_the_ids_of_its_request_and_those_of_its_turn(run):
    started, turn, *_, ended = run(thread="mine", run="r1")

    assert [(event.type, event.thread_id, event.run_id) for event in (started, ended)] == [
        ("RUN_STARTED", "mine", "r1"),
        ("RUN_FINISHED", "mine", "r1"),
    ]
    assert turn.value.keys() == {"conversation_id", "turn_id"}


def test_a_thread_is_a_conversation_with_its_history(run, conversation, alice):
    first, second = turn_of(run("one")), turn_of(run("two"))
    found = conversation.get(f"/conversations/{first['conversation_id']}/messages", as_=alice).json["items"]

    assert first["conversation_id"] == second["conversation_id"]
    assert [message["text"] for message in found if message["role"] == "user"] == ["one", "two"]


def test_a_thread_may_be_an_existing_conversation(chat, run, alice):
    id = chat.post("/chat", {"message": "Hello", "stream": False}, as_=alice).json["conversation_id"]

    assert turn_of(run(thread=id))["conversation_id"] == id


def test_a_thread_named_like_a_conversation_that_does_not_exist_is_not_found(chat, alice):
    assert chat.post("/chat/ag-ui", run_input(thread=str(new_id())), as_=alice).status == 404


def test_a_conversation_of_another_user_is_not_found(chat, alice, bob):
    id = chat.post("/chat", {"message": "Hello", "stream": False}, as_=alice).json["conversation_id"]

    assert chat.post("/chat/ag-ui", run_input(thread=id), as_=bob).status == 404


def test_threads_of_the_same_name_are_a_conversation_for_each_user(chat, conversation, run, bob):
    run("alice's secret")
    id = turn_of(events_of(chat.post("/chat/ag-ui", run_input("Hello"), as_=bob)))["conversation_id"]
    found = conversation.get(f"/conversations/{id}/messages", as_=bob).json["items"]

    assert [message["text"] for message in found if message["role"] == "user"] == ["Hello"]


def test_two_first_runs_of_a_thread_share_its_conversation(engine, database, alice, monkeypatch):
    id, read = uuid5(NAMESPACE_URL, "thread"), turn_begin.read_preconditions
    options = {"conversation_id": id, "opens_conversation": True}

    def read_and_lose(*args, **fields):
        found = read(*args, **fields)
        monkeypatch.undo()
        with closing_engine(database) as other:
            take(make_services(other, ScriptedRounds(HELLO)), alice, "second", **options)
        return found

    monkeypatch.setattr(turn_begin, "read_preconditions", read_and_lose)
    take(make_services(engine, ScriptedRounds(HELLO)), alice, "first", **options)

    assert [message.text for message in stored_messages(engine, alice, id) if message.role == "user"] == ["second", "first"]


def test_a_repeated_run_gets_the_events_of_the_first(run):
    first, again = run("hello", run="r1"), run("hello", run="r1")

    assert turn_of(first) == turn_of(again)


def test_two_threads_may_have_runs_of_the_same_id(run):
    first, second = (turn_of(run(thread=thread, run="1")) for thread in ("one", "two"))

    assert first["turn_id"] != second["turn_id"]


def test_options_of_parley_are_in_the_forwarded_props(chat, run, alice):
    unknown = run_input(forwarded_props={"parley": {"model": "no such model"}, "other": 1})

    assert chat.post("/chat/ag-ui", unknown, as_=alice).json["code"] == "model_not_found"
    assert run(forwarded_props="any JSON")[-1].type == "RUN_FINISHED"


def test_characters_that_cannot_be_stored_refuse_no_run(chat, alice):
    body = run_input("a\0b") | {"state": {"x": "\0"}}

    assert events_of(chat.post("/chat/ag-ui", body, as_=alice))[-1].type == "RUN_FINISHED"


def test_an_image_is_a_part_of_the_question(run, conversation, alice):
    media_type, value = re.fullmatch(r"data:(.+);base64,(.+)", PNG_DATA_URL).groups()
    image = {"type": "image", "source": {"type": "data", "value": value, "mimeType": media_type}}
    turn = turn_of(run([{"type": "text", "text": "What is this?"}, image], forwarded_props={"parley": {"model": "seeing"}}))
    found = conversation.get(f"/conversations/{turn['conversation_id']}/messages", as_=alice).json["items"]

    assert [part["type"] for part in found[0]["parts"]] == ["image", "text"]


@pytest.mark.parametrize(
    ("messages", "place"),
    [
        ([], ["body", "messages"]),
        ([{"id": "m", "role": "assistant", "content": "hello"}], ["body", "messages"]),
        ([{"id": "m", "role": "user", "content": ""}], ["body", "messages", 0, "content"]),
        ([{"id": "m", "role": "user", "content": [{"type": "audio"}]}], ["body", "messages", 0, "content", 0]),
    ],
)
def test_a_message_that_is_no_question_is_refused_with_its_place(chat, alice, messages, place):
    answer = chat.post("/chat/ag-ui", run_input() | {"messages": messages}, as_=alice)

    assert (answer.status, answer.json["errors"][0]["loc"]) == (422, place)


def test_a_thread_that_waits_for_nothing_cannot_be_resumed(chat, alice):
    resume = [{"interruptId": "c", "status": "resolved", "payload": {"approve": True}}]

    assert chat.post("/chat/ag-ui", run_input() | {"resume": resume}, as_=alice).json["code"] == "not_waiting"


HANDY = {"parley": {"model": "handy"}}


def resumed(interrupt_id, **entry):
    return run_input() | {"resume": [{"interruptId": interrupt_id} | entry]}


@pytest.mark.parametrize(
    ("entry", "result"),
    [
        ({"status": "resolved", "payload": {"approve": True}}, "sent to bob"),
        ({"status": "resolved", "payload": {"approve": False}}, "denied"),
        ({"status": "cancelled"}, "denied"),
    ],
)
def test_an_interrupt_is_answered_by_the_next_run_of_the_thread(over_http, alice, entry, result):  # noqa: F811
    api = over_http(BOTH, DONE)
    waiting = api.post("/chat/ag-ui", run_input(forwarded_props=HANDY), as_=alice)
    body = resumed(events_of(waiting)[-1].outcome.interrupts[0].id, **entry)
    started, answered, *_, ended = events_of(api.post("/chat/ag-ui", body, as_=alice), waiting)

    assert (started.run_id, ended.outcome.type) == (body["runId"], "success")
    assert result in answered.content


def test_all_interrupts_of_a_thread_are_answered_together(over_http, alice):  # noqa: F811
    api = over_http(tool_calls_answer(("one", "write", {"to": "bob"}), ("two", "write", {"to": "eve"})), DONE)
    waiting = api.post("/chat/ag-ui", run_input(forwarded_props=HANDY), as_=alice)
    one = api.post("/chat/ag-ui", resumed("one", status="cancelled"), as_=alice)
    two = api.post("/chat/ag-ui", resumed("two", status="cancelled"), as_=alice)

    assert (one.status, one.json["code"]) == (409, "interrupts_open")
    assert events_of(two, waiting)[-1].outcome.type == "success"


def test_an_answer_without_its_payload_is_refused(over_http, alice):  # noqa: F811
    api = over_http(BOTH, DONE)
    api.post("/chat/ag-ui", run_input(forwarded_props=HANDY), as_=alice)

    assert api.post("/chat/ag-ui", resumed("w", status="resolved"), as_=alice).status == 422
