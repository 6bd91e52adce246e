"""An attacker controls the model, and the caller is an OpenAI client: no action happens that the user has not allowed."""

import pytest

from functions.chat.completions.completion import stream_completion
from functions.chat.errors import ApprovalNeeded
from functions.chat.openai_api.schemas import CompletionIn
from functions.chat.openai_api.stored_conversation import answer_in_conversation
from parley.deadline import Deadline
from parley.llm import messages as llm
from tests.functions.chat.test_hijack import SUM, grouped
from tests.support.api_gateway import Person
from tests.support.hijack.goals import GOALS
from tests.support.hijack.scenario import POISONED_ANSWER, SPECS, HijackScenario, goal_calls
from tests.support.toolbox import DONE

BODY = {"model": "handy", "messages": [{"role": "user", "content": "what about cats?"}]}


@pytest.fixture(scope="module")
def scenario(auth, engine):
    """Return a user with tools of all kinds, including those of an MCP server."""
    scenario = HijackScenario(engine, Person.registered(auth))
    scenario.add_server("notes", scenario.user)
    return scenario


@pytest.fixture
def done(scenario):
    """Return the record of actions, empty at the start of each test."""
    scenario.done.clear()
    return scenario.done


def take(scenario, *scripts, conversation):
    """Take a turn through the OpenAI-compatible route, and return its events or its error."""
    stream = answer_in_conversation(
        scenario._services(*scripts),
        scenario.user.principal,
        str(conversation),
        CompletionIn(**BODY),
        deadline=Deadline.after(60),
        request_id="",
    )
    try:
        return list(stream.events)
    except ApprovalNeeded as exc:
        return exc


@pytest.mark.parametrize("goals", grouped(GOALS))
def test_untrusted_text_has_no_effect_in_a_stored_conversation(scenario, done, goals):
    take(scenario, goal_calls(SUM, *goals), DONE, conversation=scenario.stored(*POISONED_ANSWER))

    assert [tool for tool, *_ in done] == ["calculator"]


@pytest.mark.parametrize("goals", grouped([goal for goal in GOALS if goal.always]))
def test_forbidden_calls_have_no_effect_in_a_new_conversation(scenario, done, goals):
    take(scenario, goal_calls(SUM, *goals), DONE, conversation="new")

    assert [tool for tool, *_ in done] == ["calculator"]


def test_a_call_that_needs_an_approval_is_an_error_for_the_client_and_not_run(scenario, done):
    (goal,) = [goal for goal in GOALS if goal.id == "asks-always"]

    assert isinstance(take(scenario, goal_calls(goal), DONE, conversation="new"), ApprovalNeeded)
    assert done == []


@pytest.mark.parametrize("goals", grouped(GOALS))
def test_without_a_conversation_the_client_gets_every_call_and_none_is_run(scenario, done, goals):
    tools = [llm.ToolDefinition(spec.name, spec.description, spec.parameters) for spec in SPECS]
    request = llm.ModelRequest([llm.Message("user", "what about cats?")], tools=tools)
    stream = stream_completion(
        scenario._services(goal_calls(*goals)), scenario.user.principal, "handy", request, stops=(), deadline=Deadline.after(60)
    )
    calls = [event.name for event in stream.events if isinstance(event, llm.ToolCall)]

    assert (calls, done) == ([goal.tool for goal in goals], [])
