"""Forms of MCP servers: the turn pauses, and the call continues with the answers."""

import time
from dataclasses import dataclass, field

import pytest

from functions.chat.turn import run
from functions.chat.turn.approvals import Decision
from parley.deadline import Deadline
from parley.errors import Forbidden
from parley.tools.forms import form_of_server
from parley.tools.outcome import AskedForm, ToolOutcome
from parley.tools.spec import ToolSpec
from tests.support.toolbox import DONE, FakeOfferedTool, ScriptedRounds, tool_calls_answer, tool_results
from tests.support.turns import events_of, make_services, take

CALLS = tool_calls_answer(("b", "trips.book", {"city": "Lyon"}))
FORM = form_of_server("Book?", {"properties": {"agrees": {"type": "boolean"}}, "required": ["agrees"]})


@dataclass
class AskingToolbox:
    """A tool of an MCP server that asks its user a number of times before it has a result, and one that takes longer and asks nothing."""

    questions: int = 1
    elicitations: list = field(default_factory=list)

    @property
    def offered(self):
        specs = [ToolSpec(name, "Book.", {"type": "object"}, "mcp", egress=True, writes=True) for name in ("trips.book", "trips.list")]
        return [FakeOfferedTool(spec, user_requires_approval=False) for spec in specs]

    def run(self, name, arguments, *, timeout_s, elicitation=None):
        if name == "trips.list":
            time.sleep(0.3)
            return ToolOutcome(True, "three trips", 0.0)
        self.elicitations.append(elicitation)
        number = len(self.elicitations)
        if elicitation and elicitation.may_ask and number <= self.questions:
            return ToolOutcome(True, "", 0.0, asked=AskedForm(FORM.model_dump(mode="json"), {"id": f"q{number}", "state": f"s{number}"}))
        return ToolOutcome(True, "booked", 0.0)


@pytest.fixture
def toolbox():
    return AskingToolbox()


@pytest.fixture
def asked(engine, alice, toolbox):
    """Return the events of a turn that waits for the answers to a server's form."""
    services = make_services(engine, ScriptedRounds(CALLS), toolbox=toolbox)
    return take(services, alice, "Book a room", model="handy", tools=True, asks_user=True)


@pytest.fixture
def reply(engine, toolbox):
    """Return a function that answers a question and returns the events that follow and the requests to the model."""

    def reply(person, question, answers, turn_id):
        services = make_services(engine, ScriptedRounds(DONE), toolbox=toolbox)
        decision = Decision(turn_id, question.question_id, answers is not None, answers)
        resumed = run.resume_turn(services, person.principal, decision, deadline=Deadline.after(30))
        return list(events_of(resumed.events)), services.router.provider_for(None).requests

    return reply


def test_the_turn_waits_with_a_form_that_names_the_server(asked):
    *_, question, waiting = asked

    assert [event.name for event in asked[1:]] == ["tool.call", "tool.question", "turn.waiting"]
    assert (question.call_id, question.form["server"], question.form["message"]) == ("b", "trips", "Book?")
    assert waiting.call_ids == [question.question_id]
    assert "state" not in str(question.data())


def test_a_question_does_not_cut_off_the_calls_beside_it(engine, alice, toolbox):
    calls = tool_calls_answer(("b", "trips.book", {"city": "Lyon"}), ("l", "trips.list", {}))
    services = make_services(engine, ScriptedRounds(calls), toolbox=toolbox)
    events = take(services, alice, "Book a room", model="handy", tools=True, asks_user=True)

    assert [event.call_id for event in events if event.name == "tool.result"] == ["l"]
    assert events[-1].name == "turn.waiting"


@pytest.mark.parametrize("answers", [{"agrees": True}, None])
def test_the_call_continues_with_the_answers_and_the_servers_state(asked, reply, alice, toolbox, answers):
    events, requests = reply(alice, asked[-2], answers, asked[0].turn_id)

    assert [event.name for event in events] == ["tool.result", "text.delta", "turn.completed"]
    assert (toolbox.elicitations[1].request, toolbox.elicitations[1].answers) == ({"id": "q1", "state": "s1"}, answers)
    assert "booked" in tool_results(requests[0])[0].text


def test_a_call_asks_three_times_and_further_questions_are_declined(asked, reply, alice, toolbox):
    toolbox.questions, events = 9, asked
    for _ in range(3):
        before = events
        events, _ = reply(alice, before[-2], {"agrees": True}, asked[0].turn_id)

    assert [event.name for event in before] == ["tool.question", "turn.waiting"]
    assert events[-1].name == "turn.completed"
    assert [elicitation.may_ask for elicitation in toolbox.elicitations] == [True, True, True, False]


def test_an_api_key_needs_the_scope_of_approvals_to_answer_a_server(asked, reply, key_with):
    with pytest.raises(Forbidden):
        reply(key_with("chat", "tools"), asked[-2], {"agrees": True}, asked[0].turn_id)
    events, _ = reply(key_with("chat", "tools", "approvals"), asked[-2], {"agrees": True}, asked[0].turn_id)

    assert events[-1].name == "turn.completed"


def test_a_client_that_cannot_show_forms_gets_no_questions_of_servers(engine, alice, toolbox):
    services = make_services(engine, ScriptedRounds(CALLS, DONE), toolbox=toolbox)
    *_, last = take(services, alice, "Book a room", model="handy", tools=True)

    assert (last.name, toolbox.elicitations) == ("turn.completed", [None])
