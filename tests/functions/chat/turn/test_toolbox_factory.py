"""The tools that a turn offers, from the worker's first turn on."""

import pytest
from sqlalchemy import text

from functions.chat.services import make_toolbox_for
from parley.auth.encryption import TextCipher
from parley.tools.mcp import McpEndpoint
from parley.tools.mcp_registry import McpRegistry
from tests.fakes.tool_servers import FakeMcpCalls, FakeToolRunner, mcp_tool
from tests.functions.chat.statements import recorded_statements


@pytest.fixture
def team_server(engines):
    """Return an MCP server of the deployment whose tools are not discovered yet."""
    with engines["owner"].begin() as connection:
        connection.execute(text("DELETE FROM mcp_listings"))
    return McpEndpoint("team", "https://team.example.com/mcp")


@pytest.fixture
def worker(engine, team_server, alice):
    """Return a function that makes a worker, whose result lists the tools in alice's turns."""

    def worker(calls):
        toolbox_for = make_toolbox_for(engine, FakeToolRunner(), McpRegistry(calls, [team_server], TextCipher(lambda: bytes(32))), None)

        def names():
            return {tool.spec.name for tool in toolbox_for(alice.principal)(None).offered} - {"shout"}

        return names

    return worker


OWN = {"search_conversations", "search_documents"}


def test_the_first_turn_has_the_tools_of_the_deployments_servers(worker):
    assert worker(FakeMcpCalls(mcp_tool()))() == OWN | {"team.echo"}


def test_a_discovered_server_is_not_called_by_the_next_turn_of_any_worker(worker):
    calls = FakeMcpCalls(mcp_tool())
    for names in (worker(calls), worker(calls)):
        assert names() == names() == OWN | {"team.echo"}

    assert [timeout_s for _, timeout_s in calls.requests] == [3.0]


def test_an_unreachable_server_is_not_called_again_for_ten_minutes(worker, engines):
    worker(FakeMcpCalls(error="away"))()
    calls = FakeMcpCalls(mcp_tool())
    soon = worker(calls)()
    with engines["owner"].begin() as connection:
        connection.execute(text("UPDATE mcp_listings SET listed_at = listed_at - interval '11 minutes'"))

    assert (soon, worker(calls)(), len(calls.requests)) == (OWN, OWN | {"team.echo"}, 1)


def test_no_connection_is_taken_during_the_discovery_of_a_server(worker, engine):
    taken = []

    class WatchingCalls(FakeMcpCalls):
        def list_tools(self, server, *, timeout_s):
            taken.append(engine.pool.checkedout())
            return super().list_tools(server, timeout_s=timeout_s)

    worker(WatchingCalls(mcp_tool()))()

    assert taken == [0]


def test_a_worker_reads_discovered_tools_from_the_database_only_once(worker, engine):
    names = worker(FakeMcpCalls(mcp_tool()))
    names()
    with recorded_statements(engine) as found:
        names()

    assert len([statement for statement in found if "mcp_listings" in statement]) == 1
