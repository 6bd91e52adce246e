"""Questions to the user: `ask_user` pauses the turn with a form, and the answers resume it in any process."""

from dataclasses import replace

import pytest

from functions.chat import routes
from functions.chat.errors import AlreadyDecided, NotWaiting
from functions.chat.turn import run
from functions.chat.turn.approvals import Decision
from parley import turn_recovery
from parley.deadline import Deadline
from parley.errors import InvalidInput, NotFound
from parley.http.app import create_app
from parley.http.streaming import streaming_handler
from tests.support.api_gateway import Function
from tests.support.toolbox import DONE, RecordingToolbox, ScriptedRounds, tool_calls_answer, tool_results
from tests.support.turns import events_of, make_services, stored_messages, take

CITY = {"text": "Which city?", "kind": "choice", "options": ["Lyon", "Turin"]}
DAYS = {"text": "How many days?", "kind": "number", "required": False}
ASKS = tool_calls_answer(("q", "ask_user", {"questions": [CITY, DAYS]}))


@pytest.fixture
def toolbox():
    return RecordingToolbox().add("clock", lambda: "noon").add("write", lambda to: f"sent to {to}", requires_approval=True)


@pytest.fixture
def services(engine, toolbox):
    """Return a function that makes services with a scripted model."""
    return lambda *scripts: make_services(engine, ScriptedRounds(*scripts or [DONE]), toolbox=toolbox)


@pytest.fixture
def ask(services, alice):
    """Return a function that takes a turn whose model may ask, and returns the turn's events."""
    return lambda *scripts, **options: take(services(*scripts), alice, "Plan a trip", model="handy", tools=True, asks_user=True, **options)


@pytest.fixture
def asked(ask):
    """Return the events of a turn that waits for the answers to the form."""
    return ask(ASKS)


@pytest.fixture
def reply(services):
    """Return a function that answers a question and returns the events that follow and the requests to the model."""

    def reply(person, turn_id, answers, *scripts, id="q"):
        made = services(*scripts)
        resumed = run.resume_turn(made, person.principal, Decision(turn_id, id, answers is not None, answers), deadline=Deadline.after(30))
        return resumed and list(events_of(resumed.events)), made.router.provider_for(None).requests

    return reply


def test_a_call_of_ask_user_pauses_the_turn_with_its_form(asked):
    *_, question, waiting = asked
    city, days = question.form["fields"]

    assert [event.name for event in asked[1:]] == ["tool.call", "tool.question", "turn.waiting"]
    assert (question.question_id, question.call_id, waiting.call_ids) == ("q", "q", ["q"])
    assert (city["id"], city["text"], [option["value"] for option in city["options"]]) == ("1", "Which city?", ["Lyon", "Turin"])
    assert (days["kind"], days["required"]) == ("number", False)


def test_the_answers_are_the_result_of_the_call_and_the_turn_goes_on(asked, reply, alice):
    events, requests = reply(alice, asked[0].turn_id, {"1": "Turin", "2": None})

    assert [event.name for event in events] == ["tool.result", "text.delta", "turn.completed"]
    assert '{"question": "Which city?", "answer": "Turin"}' in tool_results(requests[0])[0].text
    assert '{"question": "How many days?", "answer": null}' in tool_results(requests[0])[0].text


@pytest.mark.parametrize("answers", [{"1": "Lyon"}, None])
def test_a_key_that_approves_nothing_may_answer_and_decline(asked, reply, key_with, answers):
    events, _ = reply(key_with("chat", "tools"), asked[0].turn_id, answers)

    assert events[-1].name == "turn.completed"


def test_a_declined_question_is_a_result_that_says_so(asked, reply, alice):
    events, requests = reply(alice, asked[0].turn_id, None)

    assert events[-1].name == "turn.completed"
    assert "declined to answer" in tool_results(requests[0])[0].text


@pytest.mark.parametrize(
    ("answers", "msg"),
    [
        ({}, "answer 1 must be answered"),
        ({"1": "Paris"}, "answer 1 must be one of the options"),
        ({"1": "Lyon", "2": "many"}, "answer 2 must be a number"),
        ({"1": "Lyon", "9": "x"}, "the form has no such field"),
    ],
)
def test_answers_that_do_not_fit_are_refused_and_the_question_stays_open(asked, reply, alice, answers, msg):
    with pytest.raises(InvalidInput) as refused:
        reply(alice, asked[0].turn_id, answers)
    events, _ = reply(alice, asked[0].turn_id, {"1": "Lyon"})

    assert refused.value.errors[0]["msg"] == msg
    assert events[-1].name == "turn.completed"


def test_a_question_cannot_be_approved_and_an_approval_not_answered(asked, ask, services, reply, alice):
    waiting = ask(tool_calls_answer(("w", "write", {"to": "bob"})))
    with pytest.raises(InvalidInput):
        run.resume_turn(services(), alice.principal, Decision(asked[0].turn_id, "q", True), deadline=Deadline.after(30))
    with pytest.raises(InvalidInput):
        reply(alice, waiting[0].turn_id, {"1": "Lyon"}, id="w")


def test_repeated_answers_get_the_same_events_and_other_answers_are_refused(asked, reply, alice):
    (first, _), (again, requests) = [reply(alice, asked[0].turn_id, {"1": "Lyon"}) for _ in range(2)]
    with pytest.raises(AlreadyDecided):
        reply(alice, asked[0].turn_id, {"1": "Turin"})

    assert [event.name for event in again] == [event.name for event in first]
    assert requests == []


def test_another_user_cannot_answer(asked, reply, bob):
    with pytest.raises(NotFound):
        reply(bob, asked[0].turn_id, {"1": "Lyon"})


def test_a_round_may_ask_and_need_an_approval(ask, reply, services, alice, toolbox):
    script = tool_calls_answer(("q", "ask_user", {"questions": [CITY]}), ("w", "write", {"to": "bob"}))
    *_, last = events = ask(script)
    answered, _ = reply(alice, events[0].turn_id, {"1": "Lyon"})
    resumed = run.resume_turn(services(), alice.principal, Decision(events[0].turn_id, "w", True), deadline=Deadline.after(30))

    assert (last.call_ids, answered) == (["w", "q"], None)
    assert list(events_of(resumed.events))[-1].name == "turn.completed"
    assert toolbox.names == ["write"]


def test_a_turn_may_ask_more_than_once_and_keeps_its_usage(asked, reply, alice, row):
    second = tool_calls_answer(("r", "ask_user", {"questions": [DAYS]}))
    *_, waiting = reply(alice, asked[0].turn_id, {"1": "Lyon"}, second)[0]
    *_, completed = reply(alice, asked[0].turn_id, {"1": 3}, id="r")[0]

    assert (waiting.name, waiting.call_ids) == ("turn.waiting", ["r"])
    assert completed.usage.input_tokens == 300
    assert row("SELECT count(*) FROM usage WHERE turn_id = :id", id=asked[0].turn_id) == (3,)


@pytest.mark.parametrize(
    ("questions", "reason"),
    [
        ([CITY] * 5, "at most 4 items"),
        ([{"text": "Which?", "kind": "choice"}], "options must be given"),
        ([{"text": "Your password?", "kind": "text"}], "must not ask for passwords"),
        ([{"text": "x" * 501, "kind": "text"}], "at most 500 characters"),
    ],
)
def test_a_form_out_of_bounds_is_not_asked_and_the_model_learns_why(ask, questions, reason):
    events = ask(tool_calls_answer(("q", "ask_user", {"questions": questions})), DONE)
    results = [event for event in events if event.name == "tool.result"]

    assert events[-1].name == "turn.completed"
    assert (results[0].ok, reason in results[0].content) == (False, True)


def test_a_client_that_cannot_show_forms_is_not_asked(services, alice):
    made = services(ASKS, DONE)
    events = take(made, alice, "Plan a trip", model="handy", tools=True)

    assert events[-1].name == "turn.completed"
    assert "ask_user" not in {tool.name for tool in made.router.provider_for(None).requests[0].tools}


def test_named_tools_are_offered_beside_ask_user_and_no_tools_without(services, alice):
    made = services()
    for tools in (["clock"], False):
        take(made, alice, "Hello", model="handy", tools=tools, asks_user=True)

    assert [[tool.name for tool in request.tools] for request in made.router.provider_for(None).requests] == [["clock", "ask_user"], []]


def test_a_new_message_leaves_the_question_unanswered(asked, services, alice, engine):
    take(services(), alice, "Never mind", conversation_id=asked[0].conversation_id, model="handy", tools=True)
    stored = stored_messages(engine, alice, asked[0].conversation_id)[1]

    assert (stored.status, stored.parts[-1]["content"]) == ("stopped", "Not answered: the user sent a new message instead.")


def test_a_stop_ends_a_turn_that_asks(asked, reply, alice, engine):
    turn_recovery.request_stop(engine, alice.principal, asked[0].turn_id)
    with pytest.raises(NotWaiting):
        reply(alice, asked[0].turn_id, {"1": "Lyon"})

    assert "the user stopped" in stored_messages(engine, alice, asked[0].conversation_id)[-1].parts[-1]["content"]


def test_answers_after_a_day_are_too_late(asked, reply, alice, engine, change):
    change("UPDATE turns SET waiting_since = now() - interval '25 hours' WHERE id = :id", id=asked[0].turn_id)
    with pytest.raises(NotWaiting):
        reply(alice, asked[0].turn_id, {"1": "Lyon"})

    assert "did not answer in time" in stored_messages(engine, alice, asked[0].conversation_id)[-1].parts[-1]["content"]


def test_answers_do_not_taint_the_turn(asked, reply, alice, toolbox):
    toolbox.add("note", lambda: "kept", writes=True)
    events, _ = reply(alice, asked[0].turn_id, {"1": "Lyon"}, tool_calls_answer(("n", "note", {})), DONE)

    assert (events[-1].name, toolbox.names) == ("turn.completed", ["note"])


@pytest.fixture
def over_http(services):
    """Return a function that makes the chat function with a scripted model."""
    from functions.chat.app import settings

    def over_http(*scripts, **options):
        made = replace(services(*scripts), **options)
        return Function(streaming_handler(create_app(routes.router, settings=settings, services=made)))

    return over_http


BODY = {"message": "Plan a trip", "model": "handy", "questions": True, "stream": False}


def test_over_http_a_question_is_listed_answered_and_shown(over_http, alice):
    api = over_http(ASKS, DONE)
    made = api.post("/chat", BODY, as_=alice).json
    path = f"/chat/turns/{made['turn_id']}"
    ended = api.post(f"{path}/answers", {"question_id": "q", "answers": {"1": "Lyon", "2": 3}, "stream": False}, as_=alice).json
    state = api.get(path, as_=alice).json

    assert (made["status"], made["questions"][0]["form"]["fields"][0]["text"]) == ("waiting", "Which city?")
    assert (ended["status"], ended["questions"]) == ("completed", [])
    assert (state["approvals"], state["questions"][0]["answers"]) == ([], {"1": "Lyon", "2": 3})


def test_over_http_answers_are_422_and_404(over_http, alice):
    api = over_http(ASKS)
    path = f"/chat/turns/{api.post('/chat', BODY, as_=alice).json['turn_id']}/answers"
    bodies = [{"question_id": "q", "answers": answers} for answers in ({"1": "Paris"}, {"1": "x" * 4_001}, {"1": {}})]
    answers = [api.post(path, body, as_=alice) for body in (*bodies, {"question_id": "z", "answers": None})]

    assert [answer.status for answer in answers] == [422, 422, 422, 404]
    assert answers[0].json["errors"][0]["loc"] == ["body", "answers", "1"]


def test_over_http_a_deployment_can_switch_questions_off(over_http, alice):
    made = over_http(ASKS, DONE, asks_user=False).post("/chat", BODY, as_=alice).json

    assert (made["status"], made["tool_results"][0]["content"]) == ("completed", "Unknown tool 'ask_user'.")
