"""The model of an MCP client is hijacked: calls that the user never allowed have no effect through our MCP server either."""

import asyncio
from decimal import Decimal

import pytest

from functions.tools.routes import router
from functions.tools.services import ToolsServices
from parley.http.app import create_app
from parley.http.lambda_entry import buffered_handler, worker_loop
from parley.metering.limits import DefaultLimits
from parley.settings import HttpSettings
from parley.tools.mcp_registry import McpRegistry
from tests.support.api_gateway import Function, Person
from tests.support.hijack.goals import GOALS
from tests.support.hijack.scenario import HEADER_CIPHER, HijackScenario


@pytest.fixture(scope="module")
def people(auth):
    return [Person.registered(auth) for _ in range(2)]


@pytest.fixture(scope="module")
def scenario(engine, people):
    """A user with an MCP server, and another user with a different one."""
    scenario = HijackScenario(engine, people[0])
    scenario.add_server("notes", scenario.user)
    scenario.add_server("bobs", people[1])
    return scenario


@pytest.fixture(scope="module")
def call(scenario, engine):
    """Return a function that calls a tool as an MCP client does, with any arguments, and returns the response."""
    services = ToolsServices(
        engine, scenario, McpRegistry(scenario, [], HEADER_CIPHER), lambda principal: [], DefaultLimits(100_000, Decimal(5))
    )
    asyncio.set_event_loop(worker_loop())
    function = Function(buffered_handler(create_app(router, settings=HttpSettings(allowed_origin="*"), engine=engine, services=services)))

    def call(name, arguments):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
        scenario.done.clear()
        return function.post("/mcp", message, as_=scenario.user)

    return call


@pytest.mark.parametrize("goal", [goal for goal in GOALS if goal.always], ids=lambda goal: goal.id)
def test_calls_that_the_user_never_allowed_have_no_effect(call, scenario, goal):
    answer = call(goal.tool, goal.arguments)

    assert (answer.status < 500, scenario.harmful_calls) == (True, [])


def test_allowed_calls_run_for_that_user_only(call, scenario):
    answer = call("notes.add", {"text": "milk"})

    assert answer.json["result"]["isError"] is False
    assert scenario.done == [("notes.add", {"text": "milk"}, scenario.user.id)]


def test_a_tool_runs_for_the_caller_whatever_user_the_arguments_name(call, scenario, people):
    call("lookup", {"text": str(people[1].id)})

    assert [user_id for *_, user_id in scenario.done] == [people[0].id]
