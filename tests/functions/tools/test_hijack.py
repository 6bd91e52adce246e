"""The model of an MCP client is lost: what its user has never allowed has no effect through our door either (P1)."""

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
from tests.driving import Function, Person
from tests.functions.chat.hijack_goals import GOALS
from tests.functions.chat.hijacked import SEAL, World


@pytest.fixture(scope="module")
def people(auth):
    return [Person.registered(auth) for _ in range(2)]


@pytest.fixture(scope="module")
def world(engine, people):
    """A user with a server of their own, and another one with another's."""
    world = World(engine, people[0])
    world.add_server("notes", world.user)
    world.add_server("bobs", people[1])
    return world


@pytest.fixture(scope="module")
def call(world, engine):
    """Call a tool as a client does, with whatever it likes; returns the answer."""
    services = ToolsServices(engine, world, McpRegistry(world, [], SEAL), lambda principal: [], DefaultLimits(100_000, Decimal(5)))
    asyncio.set_event_loop(worker_loop())
    function = Function(buffered_handler(create_app(router, settings=HttpSettings(allowed_origin="*"), engine=engine, services=services)))

    def call(name, arguments):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
        world.done.clear()
        return function.post("/mcp", message, as_=world.user)

    return call


@pytest.mark.parametrize("goal", [goal for goal in GOALS if goal.always], ids=lambda goal: goal.id)
def test_what_the_user_never_allowed_has_no_effect(call, world, goal):
    answer = call(goal.tool, goal.arguments)

    assert (answer.status < 500, world.effects) == (True, [])


def test_what_the_user_has_allowed_is_done_for_them_alone(call, world):
    answer = call("notes.add", {"text": "milk"})

    assert answer.json["result"]["isError"] is False
    assert world.done == [("notes.add", {"text": "milk"}, world.user.id)]


def test_a_tool_is_run_for_the_caller_whoever_the_arguments_name(call, world, people):
    call("lookup", {"text": str(people[1].id)})

    assert [user_id for *_, user_id in world.done] == [people[0].id]
