import json
from decimal import Decimal
from functools import partial

import pytest

from functions.tools import mcp_servers
from functions.tools.schemas import McpServerOut
from functions.tools.services import ToolsServices
from parley.auth.client_origin import ClientOrigin
from parley.auth.encryption import TextCipher
from parley.db import mcp_servers as stored_servers
from parley.db.transactions import user_scope
from parley.http.idempotency import Idempotency
from parley.http.schemas import Input
from parley.ids import new_id
from parley.metering.limits import DefaultLimits
from parley.tools.mcp import McpEndpoint, McpToolList
from parley.tools.mcp_registry import McpRegistry, headers_context
from tests.fakes.tool_servers import FakeMcpCalls, FakeToolRunner, mcp_tool
from tests.support.concurrency import closing_engine, meet_after, outcomes

NOTES = {"name": "notes", "url": "https://mcp.example.com/mcp", "headers": {"Authorization": "Bearer very-secret"}}


def add(function, alice, key=None, **changes):
    headers = {"Idempotency-Key": key} if key else None
    return function.post("/tools/mcp-servers", NOTES | changes, as_=alice, headers=headers)


def servers(function, alice):
    return function.get("/tools/mcp-servers", as_=alice).json["items"]


def names(function, alice):
    return [tool["name"] for tool in function.get("/tools", as_=alice).json["items"]]


@pytest.fixture
def age(postgres, alice):
    """Return a function that makes the stored tool lists of Alice's servers older: `age(minutes)`."""

    def age(minutes):
        aged = f"UPDATE mcp_servers SET listed_at = listed_at - interval '{minutes} minutes' WHERE user_id = '{alice.id}'"
        postgres.execute(aged, dbname="parley")

    return age


def test_an_added_servers_tools_are_listed(served, alice):
    created = add(served, alice)

    assert created.status == 201
    assert names(served, alice) == ["notes.echo", "shout"]
    assert servers(served, alice)[0]["tools"] == ["echo"]


def test_a_servers_headers_are_sent_with_calls_and_never_shown(serve, alice):
    calls = FakeMcpCalls(mcp_tool())
    function = serve(calls=calls)
    shown = add(function, alice).body + function.get("/tools/mcp-servers", as_=alice).body

    assert b"very-secret" not in shown
    assert calls.requests[0][0] == McpEndpoint("notes", NOTES["url"], NOTES["headers"])


def test_a_servers_headers_are_not_in_the_database_in_the_clear(served, alice, postgres):
    add(served, alice)
    stored = postgres.execute("SELECT * FROM mcp_servers", dbname="parley") + postgres.execute(
        "SELECT * FROM idempotency_keys", dbname="parley"
    )

    assert "very-secret" not in str(stored)


@pytest.mark.parametrize("headers", [{}, NOTES["headers"]], ids=["key in the query only", "key and headers"])
def test_a_key_in_a_servers_query_is_sent_and_neither_shown_nor_stored_in_the_clear(serve, alice, postgres, headers):
    calls = FakeMcpCalls(mcp_tool())
    function = serve(calls=calls)
    url = "https://mcp.example.com/mcp?key=query-secret&more=1"
    shown = add(function, alice, key="once", url=url, headers=headers).body + function.get("/tools/mcp-servers", as_=alice).body
    stored = [postgres.execute(f"SELECT * FROM {table}", dbname="parley") for table in ("mcp_servers", "idempotency_keys")]

    assert "query-secret" not in str(stored) + shown.decode() + repr(calls.requests)
    assert calls.requests[0][0] == McpEndpoint("notes", url, headers)
    assert json.loads(shown[: shown.index(b"}") + 1])["url"] == "https://mcp.example.com/mcp"


def test_a_row_of_an_earlier_version_has_its_headers_only(alice, engine):
    cipher, server_id = TextCipher(lambda: bytes(32)), new_id()
    registry = McpRegistry(FakeMcpCalls(), [], cipher)
    old = cipher.encrypt(json.dumps(NOTES["headers"]), context=headers_context(server_id, user_id=alice.id))
    with user_scope(engine, alice.id) as connection:
        server = stored_servers.add(connection, server_id, user_id=alice.id, name="notes", url=NOTES["url"], headers=old)

    assert registry.load_endpoint(server, user_id=alice.id) == McpEndpoint("notes", NOTES["url"], NOTES["headers"])


def test_a_servers_tool_runs_on_the_server(served, alice):
    add(served, alice)
    answer = served.post("/tools/notes.echo/invoke", {"arguments": {"text": "x"}}, as_=alice)

    assert answer.json["content"] == "echo of notes"


def test_an_unreachable_server_is_stored_with_its_error(serve, alice):
    function = serve(calls=FakeMcpCalls(error="The server did not answer in time."))
    created = add(function, alice)

    assert (created.status, servers(function, alice)[0]["error"]) == (201, "The server did not answer in time.")
    assert servers(function, alice)[0]["tools"] == []


def test_a_server_with_unstorable_text_does_not_break_the_list(serve, alice):
    zeros = {"type": "object", "description": "a\0b"}
    bombed = serve(calls=FakeMcpCalls(mcp_tool("bomb", parameters=zeros), mcp_tool()))
    cursed = serve(calls=FakeMcpCalls(error="no\0way" + "!" * 5000))

    assert (add(bombed, alice).status, add(cursed, alice, name="cursed").status) == (201, 201)
    assert names(bombed, alice) == ["notes.echo", "shout"]
    assert servers(cursed, alice)[0]["error"].startswith("noway!")


def test_an_unreachable_server_keeps_its_tools(serve, alice, age):
    add(serve(), alice)
    dead = serve(calls=FakeMcpCalls(error="gone"))
    age(11)

    assert names(dead, alice) == ["notes.echo", "shout"]
    assert servers(dead, alice)[0]["error"] == "gone"


def test_a_server_is_listed_at_most_every_ten_minutes(serve, alice, age):
    calls = FakeMcpCalls(error="gone")
    function = serve(calls=calls)
    add(function, alice)
    names(function, alice)
    age(9)
    names(function, alice)

    assert len(calls.requests) == 1


def test_no_connection_is_used_while_servers_are_listed(serve, engine, alice):
    taken = []

    class Looking(FakeMcpCalls):
        def list_tools(self, server, *, timeout_s):
            taken.append((engine.pool.checkedout(), timeout_s))
            return super().list_tools(server, timeout_s=timeout_s)

    add(serve(calls=Looking(mcp_tool())), alice)

    assert taken == [(0, 5.0)]


def test_a_server_name_is_unique_per_user(served, alice, bob):
    add(served, alice)
    again = add(served, alice)

    assert (again.status, again.json["code"]) == (409, "name_taken")
    assert add(served, bob).status == 201


def test_a_name_of_a_deployment_server_is_taken(serve, alice):
    function = serve(deployment=[McpEndpoint("notes", "https://team.example.com/mcp")])

    assert add(function, alice).json["code"] == "name_taken"


def test_the_first_caller_lists_the_deployments_servers(serve, alice, bob):
    calls = FakeMcpCalls(mcp_tool())
    function = serve(calls=calls, deployment=[McpEndpoint("everybodys", "https://team.example.com/mcp")])

    assert names(function, alice) == names(function, bob) == ["everybodys.echo", "shout"]
    assert len(calls.requests) == 1


def test_a_user_has_at_most_twenty_servers(served, alice):
    statuses = [add(served, alice, name=f"s{number}").status for number in range(21)]

    assert statuses == [201] * 20 + [409]


def test_a_repeated_key_adds_one_server(served, alice):
    first, second = add(served, alice, key="k1"), add(served, alice, key="k1")
    other = add(served, alice, key="k1", name="other")

    assert (first.status, first.json) == (second.status, second.json)
    assert (len(servers(served, alice)), other.json["code"]) == (1, "idempotency_key_reused")


def test_removing_a_server_removes_its_tools_and_settings(served, alice):
    id = add(served, alice).json["id"]
    served.call("PUT", "/tools/notes.echo", {"enabled": False}, as_=alice)
    assert served.delete(f"/tools/mcp-servers/{id}", as_=alice).status == 204
    assert names(served, alice) == ["shout"]
    add(served, alice)

    assert [tool["enabled"] for tool in served.get("/tools", as_=alice).json["items"]] == [True, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "No.Dots"},
        {"name": ""},
        {"url": "ftp://mcp.example.com"},
        {"url": "https://user:password@mcp.example.com/mcp"},
        {"url": "https://"},
        {"headers": {"Host": "internal"}},
        {"headers": {"Mcp-Session-Id": "x"}},
        {"headers": {"X-A": "line\r\nbreak"}},
        {"headers": {"a b": "x"}},
        {"headers": {f"X-{number}": "x" for number in range(21)}},
        {"owner": "me"},
    ],
)
def test_an_invalid_server_is_refused(served, alice, changes):
    assert add(served, alice, **changes).status == 422


def test_invalid_tools_of_a_server_are_left_out(serve, alice):
    odd = [mcp_tool("a/b"), mcp_tool("fine"), mcp_tool("x", parameters={"type": "string"}), mcp_tool("y" * 65), {"name": 7}]
    function = serve(calls=FakeMcpCalls(*odd))
    add(function, alice)

    assert names(function, alice) == ["notes.fine", "shout"]


def test_two_concurrent_requests_for_the_last_server_add_one(serve, alice, database, monkeypatch):
    monkeypatch.setattr(mcp_servers, "MAX_SERVERS", 1)
    meet_after(monkeypatch, stored_servers, "count")
    registry = McpRegistry(FakeMcpCalls(mcp_tool()), [], TextCipher(lambda: bytes(32)))

    def add_named(name):
        with closing_engine(database) as engine:
            services = ToolsServices(engine, FakeToolRunner(), registry, lambda principal: [], DefaultLimits(100_000, Decimal(5)))
            request = Idempotency(None).request("POST /tools/mcp-servers", Input(), render=McpServerOut.of)
            return mcp_servers.add_server(
                services, alice.principal, request, ClientOrigin("192.0.2.7"), name=name, url=NOTES["url"], headers={}
            )

    results = outcomes([partial(add_named, name) for name in ("one", "two")])
    assert sorted(type(result).__name__ for result in results) == ["IdempotentResult", "TooManyMcpServers"]


def test_a_servers_tools_are_listed_again_at_once(serve, alice):
    calls = FakeMcpCalls(mcp_tool())
    function = serve(calls=calls)
    id = add(function, alice).json["id"]
    calls.listing = McpToolList([mcp_tool(), mcp_tool("draw")], None)

    refreshed = function.post(f"/tools/mcp-servers/{id}/refresh", as_=alice)

    assert (refreshed.status, sorted(refreshed.json["tools"])) == (200, ["draw", "echo"])
    assert names(function, alice) == ["notes.draw", "notes.echo", "shout"]


def test_the_server_of_another_user_is_not_refreshed(served, alice, bob):
    id = add(served, alice).json["id"]

    assert served.post(f"/tools/mcp-servers/{id}/refresh", as_=bob).status == 404


def test_refreshing_counts_toward_the_users_requests(serve, alice):
    function = serve(rate_per_minute=2)
    id = add(function, alice).json["id"]
    statuses = [function.post(f"/tools/mcp-servers/{id}/refresh", as_=alice).status for _ in range(4)]

    assert (statuses[0], statuses[-1]) == (200, 429)
