"""Our MCP server, tested with the official client over real HTTP and with single messages."""

import asyncio
import re
from dataclasses import replace

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from functions.tools.mcp_endpoint import negotiation
from tests.fakes.tool_servers import FakeToolRunner, make_spec
from tests.functions.tools.http_server import serving_function
from tests.support.api_gateway import Person, rest_event

MODERN = MODERN_PROTOCOL_VERSIONS[-1]
META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}


@pytest.fixture
def client(serve, alice):
    """Return a function that runs an action of the official client on our server, in each of its connection modes."""

    def client(work, *, mode="auto", runner=None, function=None):
        async def connected(url):
            async with Client(f"{url}/mcp", mode=mode) as session:
                try:
                    return await work(session)
                except MCPError as error:  # the client would otherwise raise an exception group
                    return error

        with serving_function(function or serve(runner), alice) as url:
            return asyncio.run(connected(url))

    return client


@pytest.fixture
def send(served, alice):
    """Return a function that sends one message."""

    def send(message, *, function=None, as_=alice, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (function or served).post("/mcp", message, as_=as_, headers=named)

    return send


def request(method, id=1, **params):
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def test_the_revisions_match_the_official_package():
    assert (negotiation.HANDSHAKE_VERSIONS, negotiation.MODERN_VERSIONS) == (HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS)


@pytest.mark.parametrize("mode", ["auto", "legacy", MODERN])
def test_the_official_client_lists_the_tools(client, mode):
    found = client(lambda session: session.list_tools(), mode=mode)

    assert [(tool.name, tool.description, tool.input_schema) for tool in found.tools] == [("shout", "Does shout.", make_spec().parameters)]


def test_many_long_tools_come_in_pages_that_fit(serve, send):
    specs = [replace(make_spec(f"tool_{number}"), description="x" * 400_000) for number in range(5)]
    function, cursor, names = serve(FakeToolRunner(*specs)), "", []
    while cursor is not None:
        page = send(request("tools/list", cursor=cursor), function=function)
        assert len(page.body) < 1_100_000
        names += [tool["name"] for tool in page.json["result"]["tools"]]
        cursor = page.json["result"].get("nextCursor")

    assert names == [spec.name for spec in specs]


@pytest.mark.parametrize("mode", ["legacy", MODERN])
def test_a_tool_of_a_server_has_a_name_that_every_models_api_accepts(client, serve, alice, mode):
    """Clients pass the names on to models, and one name with a dot makes the whole list unusable."""
    runner = FakeToolRunner(make_spec(), make_spec("notes.read"))
    function = serve(runner)

    async def work(session):
        (tool,) = [tool for tool in (await session.list_tools()).tools if tool.name != "shout"]
        return tool, [await session.call_tool(name, {"text": "hello"}) for name in (tool.name, "notes.read")]

    tool, outcomes = client(work, mode=mode, function=function)

    assert re.fullmatch(r"notes_read_[0-9a-f]{8}", tool.name)
    assert tool.title == "notes.read"
    assert [(outcome.is_error, outcome.content[0].text) for outcome in outcomes] == [(False, "HELLO")] * 2
    assert [name for name, *_ in runner.requests] == ["notes.read"] * 2


def test_a_cursor_that_is_not_text_is_an_error(send):
    assert send(request("tools/list", cursor=[1])).json["error"]["code"] == -32602


@pytest.mark.parametrize("mode", ["auto", "legacy", MODERN])
def test_the_official_client_calls_a_tool(client, mode):
    found = client(lambda session: session.call_tool("shout", {"text": "hello"}), mode=mode)

    assert (found.is_error, found.content[0].text) == (False, "HELLO")


@pytest.mark.parametrize("mode", ["legacy", MODERN])
def test_the_official_client_receives_argument_errors(client, mode):
    found = client(lambda session: session.call_tool("shout", {"text": 7}), mode=mode)

    assert found.is_error
    assert "/text: 7 is not of type 'string'" in found.content[0].text


@pytest.mark.parametrize("mode", ["legacy", MODERN])
def test_the_official_client_receives_an_unknown_tool_error(client, mode):
    assert client(lambda session: session.call_tool("whisper", {}), mode=mode).message == "Unknown tool: whisper"


def test_the_official_client_gets_an_answer_to_its_ping(client):
    assert not isinstance(client(lambda session: session.session.send_ping(), mode="legacy"), MCPError)


def test_a_non_ascii_tool_name_is_decoded(client):
    assert client(lambda session: session.call_tool("größer", {}), mode=MODERN).message == "Unknown tool: größer"


def test_a_tool_that_requires_approval_is_neither_offered_nor_run(client, send, serve, alice):
    runner = FakeToolRunner(make_spec(), make_spec("launch", requires_approval=True), make_spec("mine"))
    function = serve(runner)
    function.call("PUT", "/tools/mine", {"requires_approval": True}, as_=alice)
    offered = client(lambda session: session.list_tools(), function=function)
    refused = [send(request("tools/call", name=name, arguments={"text": "x"}), function=function).json for name in ("launch", "mine")]

    assert [tool.name for tool in offered.tools] == ["shout"]
    assert ([one["error"]["code"] for one in refused], runner.requests) == ([-32602, -32602], [])


def test_tool_hints_name_egress_and_read_only_tools(client):
    found = client(lambda session: session.list_tools(), runner=FakeToolRunner(make_spec(), make_spec("post", egress=True, writes=True)))
    hints = {tool.name: (tool.annotations.read_only_hint, tool.annotations.open_world_hint) for tool in found.tools}

    assert hints == {"shout": (True, False), "post": (False, True)}


def test_a_tool_runs_for_the_caller_only(send, serve, alice, bob):
    runner = FakeToolRunner()
    send(request("tools/call", name="shout", arguments={"text": "x"}, user_id=str(bob.id)), function=serve(runner))

    assert [request[2] for request in runner.requests] == [alice.id]


@pytest.mark.parametrize("wanted", [*HANDSHAKE_PROTOCOL_VERSIONS, "1999-01-01", MODERN, None, 7])
def test_a_handshake_negotiates_a_common_revision(send, wanted):
    agreed = send(request("initialize", protocolVersion=wanted, capabilities={}, clientInfo={"name": "x", "version": "1"})).json["result"]

    assert agreed["protocolVersion"] == (wanted if wanted in HANDSHAKE_PROTOCOL_VERSIONS else HANDSHAKE_PROTOCOL_VERSIONS[-1])


def test_messages_are_independent(send):
    assert send(request("tools/list")).json["result"]["tools"]
    assert "mcp-session-id" not in send(request("initialize", protocolVersion="2025-06-18")).headers


@pytest.mark.parametrize(
    "message",
    [{"jsonrpc": "2.0", "method": "notifications/initialized"}, {"jsonrpc": "2.0", "id": 1, "result": {}}],
    ids=["notification", "response"],
)
def test_a_notification_gets_no_response(send, message):
    answer = send(message)

    assert (answer.status, answer.body) == (202, b"")


@pytest.mark.parametrize("id", ["abc", 0, 7, ""])
def test_a_response_has_the_requests_id(send, id):
    assert send(request("ping", id=id)).json == {"jsonrpc": "2.0", "id": id, "result": {}}


def test_an_unknown_method_is_an_error(send):
    assert send(request("resources/subscribe")).json["error"]["code"] == -32601


def test_an_unknown_revision_error_lists_the_supported_ones(send):
    answer = send(request("ping"), MCP_Protocol_Version="2031-01-01")

    assert (answer.status, answer.json["error"]["code"]) == (400, -32022)
    assert answer.json["error"]["data"]["supported"] == [*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS]


@pytest.mark.parametrize(
    ("params", "headers", "code"),
    [
        ({}, {"Mcp_Method": "tools/list"}, -32602),
        ({"_meta": META}, {}, -32020),
        ({"_meta": META}, {"Mcp_Method": "tools/call"}, -32020),
    ],
)
def test_a_modern_request_that_contradicts_itself_is_refused(send, params, headers, code):
    answer = send(request("tools/list", **params), MCP_Protocol_Version=MODERN, **headers)

    assert (answer.status, answer.json["error"]["code"]) == (400, code)


@pytest.mark.parametrize("name", [None, "=?base64?c2hvdXR=?=", "=?base64?!?=", "other"])
def test_a_modern_call_whose_header_names_another_tool_is_refused(send, name):
    headers = {"Mcp_Name": name} if name else {}
    message = request("tools/call", name="shout", arguments={"text": "x"}, _meta=META)
    answer = send(message, MCP_Protocol_Version=MODERN, Mcp_Method="tools/call", **headers)

    assert (answer.status, answer.json["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", -32700),
        ("[]", -32600),
        ('{"id": 1, "method": "ping"}', -32600),
        ('{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', -32600),
    ],
)
def test_an_invalid_message_is_refused_with_the_code_of_json_rpc(send, body, code):
    answer = send(body)

    assert (answer.status, answer.json["id"], answer.json["error"]["code"]) == (400, None, code)


@pytest.mark.parametrize("name", [["recall"], {"recall": 1}, 1, None])
@pytest.mark.parametrize("method", ["prompts/get", "completion/complete"])
def test_a_name_of_a_prompt_that_is_no_text_is_an_invalid_parameter(send, method, name):
    answer = send(request(method, name=name, ref={"type": "ref/prompt", "name": name}, argument={"name": "topic", "value": "x"}))

    assert answer.json["error"]["code"] == -32602


def test_calls_are_counted_and_lists_are_not(send, serve):
    function = serve(rate_per_minute=1)
    call = request("tools/call", name="shout", arguments={"text": "x"})
    statuses = [send(one, function=function).status for one in (request("tools/list"), call, request("tools/list"), call)]

    assert statuses == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("allowed", "host", "origin", "status"),
    [
        ("https://a.example,https://b.example", "api.example.com", "https://b.example", 200),
        ("https://a.example,https://b.example", "api.example.com", "https://evil.example", 403),
        ("https://a.example", "api.example.com", "null", 403),
        ("*", "api.example.com", "https://evil.example", 200),
        ("*", "127.0.0.1:3000", "http://localhost:6274", 200),
        ("*", "localhost:3000", "https://evil.example", 403),
        ("*", "localhost:3000", "http://[broken", 403),
    ],
)
def test_a_page_of_a_foreign_origin_is_refused(send, serve, allowed, host, origin, status):
    answer = send(request("ping"), function=serve(allowed_origin=allowed), Host=host, Origin=origin)

    assert (answer.status, answer.json.get("code")) == (status, "foreign_origin" if status == 403 else None)


@pytest.mark.parametrize(("origin", "status"), [("http://rebound.example:3000", 403), ("http://localhost:6274", 200)])
def test_a_page_whose_name_leads_to_this_computer_is_refused(served, alice, origin, status):
    """The page's own name is the host then, and only the client's address shows where the server is."""
    event = rest_event("POST", "/mcp", request("ping"), as_=alice, headers={"Host": "rebound.example:3000", "Origin": origin})
    event["requestContext"]["identity"]["sourceIp"] = "127.0.0.1"

    assert served.invoke(event).status == status


def test_a_token_without_the_tools_scope_is_refused(send, alice):
    assert send(request("ping"), as_=Person(alice.email, alice.tokens, alice.claims | {"scope": "chat"})).status == 403
    assert send(request("ping"), as_=None).status == 401


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_there_is_neither_a_stream_nor_a_session(served, method):
    answer = served.call(method, "/mcp")

    assert (answer.status, answer.headers["allow"], answer.json["code"]) == (405, "POST", "method_not_allowed")
