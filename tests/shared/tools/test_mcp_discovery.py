"""Which MCP servers are asked for their tools, and what is stored of their answers."""

from contextlib import nullcontext
from datetime import timedelta
from functools import partial

import pytest

from parley.clock import utc_now
from parley.db import mcp_servers
from parley.db.transactions import user_scope
from parley.ids import new_id
from parley.tools.mcp import McpEndpoint, McpToolList
from parley.tools.mcp_discovery import DiscoveryTarget, McpDiscovery, discover, is_stale
from parley.tools.mcp_registry import McpRegistry
from tests.fakes.tool_servers import mcp_tool


@pytest.mark.parametrize(("age", "is_due"), [(None, True), (timedelta(minutes=9, seconds=55), False), (timedelta(minutes=10), True)])
def test_a_list_of_tools_is_asked_for_again_after_ten_minutes(age, is_due):
    assert is_stale(age and utc_now() - age) is is_due


class Servers:
    """A client of servers that answer with a list of tools, or fail with a long reason."""

    def __init__(self):
        self.stored = {}

    def list_tools(self, server, *, timeout_s):
        return McpToolList([], "x" * 2_000) if server.name == "broken" else McpToolList([mcp_tool(server.name)])

    def target(self, name):
        def store(connection, **fields):
            self.stored[name] = fields

        return DiscoveryTarget(lambda: McpEndpoint(name, "https://mcp.example.com"), store)


def test_each_server_has_its_own_tools_or_the_beginning_of_its_error():
    servers = Servers()
    discover(servers, nullcontext, [servers.target(name) for name in ("notes", "broken", "trips")], timeout_s=1.0)

    assert [tool["name"] for name in ("notes", "trips") for tool in servers.stored[name]["tools"]] == ["notes", "trips"]
    assert servers.stored["broken"] == {"tools": None, "error": "x" * 1_000}
    assert servers.stored["notes"]["error"] is None


@pytest.mark.parametrize(
    ("error", "age", "is_due"),
    [
        (None, "23 hours", False),
        (None, "25 hours", True),
        ("gone", "9 minutes", False),
        ("gone", "11 minutes", True),
    ],
)
def test_a_turn_asks_a_working_server_again_after_a_day_and_a_failed_one_after_ten_minutes(engine, alice, postgres, error, age, is_due):
    server, scope = McpEndpoint(f"s{new_id().hex}", "https://mcp.example.com"), partial(user_scope, engine, alice.id)
    with scope() as connection:
        mcp_servers.store_deployment_listing(connection, server.name, tools=[], error=error)
    postgres.execute(f"UPDATE mcp_listings SET listed_at = now() - interval '{age}' WHERE name = '{server.name}'", dbname="parley")
    McpDiscovery(McpRegistry(Servers(), [server], None)).refresh(scope)

    with scope() as connection:
        (listing,) = mcp_servers.deployment_listings(connection, [server.name]).values()
    assert [tool["name"] for tool in listing.tools] == ([server.name] if is_due else [])


def test_without_a_server_that_is_due_nothing_is_stored():
    def scope():
        raise AssertionError("no transaction is needed")

    discover(Servers(), scope, [], timeout_s=1.0)
