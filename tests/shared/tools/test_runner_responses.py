"""What the tool runner responds, or why it does not, as models and users see it."""

import json
import time
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest

from parley.ids import new_id
from parley.tools.invoker import Invoker, RunnerFailed
from parley.tools.mcp import Elicitation, McpEndpoint, McpTool, RunnerMcpClient, usable_tools
from parley.tools.mcp_registry import split_query
from parley.tools.outcome import ArgumentError, AskedForm
from tests.fakes.tool_servers import mcp_tool

SERVER, ECHO = McpEndpoint("notes", "https://mcp.example.com", {"X-Key": "k"}), McpTool("echo", {"type": "object"})


@pytest.mark.parametrize(("size", "is_offered"), [(16_384, True), (16_385, False)])
def test_a_schema_has_sixteen_kibibytes_at_most(size, is_offered):
    head = len(json.dumps({"type": "object", "description": ""}))
    parameters = {"type": "object", "description": "x" * (size - head)}

    assert bool(usable_tools([mcp_tool(parameters=parameters)])) is is_offered


@pytest.mark.parametrize(
    ("change", "is_offered"),
    [
        ({"name": "a" * 64}, True),
        ({"name": "a" * 65}, False),
        ({"name": "a b"}, False),
        ({"name": None}, False),
        ({"parameters": {"type": "array"}}, False),
        ({"parameters": None}, False),
    ],
)
def test_a_tool_needs_a_name_and_takes_an_object(change, is_offered):
    assert bool(usable_tools([mcp_tool() | change])) is is_offered


@pytest.mark.parametrize("longer", [0, 1])
def test_all_tools_of_a_server_have_256_kib_at_most(longer):
    parameters = {"type": "object", "description": ""}
    head = len(json.dumps({"name": "t10", "description": "", "parameters": parameters}))
    sizes = [16_384] * 15 + [16_384 + longer]
    tools = [
        {"name": f"t{number}", "parameters": parameters | {"description": "x" * (size - head)}} for number, size in enumerate(sizes, 10)
    ]

    assert len(usable_tools(tools)) == 16 - longer


def test_a_schema_is_as_large_as_its_utf_8():
    assert len(usable_tools([mcp_tool(parameters={"type": "object", "description": "ä" * 8_000})])) == 1


def test_a_server_is_logged_without_its_address_and_its_headers():
    assert repr(SERVER) == "McpEndpoint(name='notes')"


def test_of_tools_with_one_name_the_last_is_offered():
    assert [tool["description"] for tool in usable_tools([mcp_tool(description="old"), mcp_tool(description=None)])] == [""]


def runner_client(response, seen=None):
    def send(request, *, timeout_s):
        if isinstance(response, Exception):
            raise response
        if seen is not None:
            seen.append((request, timeout_s))
        return response

    return RunnerMcpClient(send)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ({"ok": True, "content": "noon"}, (True, "noon")),
        ({"ok": False, "content": ""}, (False, "")),
        ({"ok": 1, "content": "noon"}, (False, "noon")),
        ({"error": "gone"}, (False, "gone")),
        ({}, (False, "The MCP server did not respond.")),
        (RunnerFailed("Timeout", "x", public_message="The tool crashed."), (False, "The tool crashed.")),
    ],
)
def test_the_result_of_a_servers_tool_or_the_reason_without_one_reaches_the_model(response, expected):
    outcome = runner_client(response).call_tool(SERVER, ECHO, {}, timeout_s=3)

    assert (outcome.ok, outcome.content) == expected


def test_a_servers_question_or_errors_are_outcomes_without_a_result():
    asked = runner_client({"asked": {"form": {"f": 1}, "request": {"id": "r"}}}).call_tool(SERVER, ECHO, {}, timeout_s=3)
    wrong = runner_client({"argument_errors": [{"path": ["a"], "msg": "no"}]}).call_tool(SERVER, ECHO, {}, timeout_s=3)

    assert (asked.ok, asked.asked) == (True, AskedForm({"f": 1}, {"id": "r"}))
    assert (wrong.ok, wrong.argument_errors) == (False, (ArgumentError(("a",), "no"),))


@pytest.mark.parametrize(
    ("elicitation", "sent"),
    [
        (None, {}),
        (Elicitation(), {"may_ask": True}),
        (Elicitation(False, {"id": "r"}, None), {"may_ask": False, "answer": {"request": {"id": "r"}, "answers": None}}),
        (Elicitation(True, {"id": "r"}, {"a": 1}), {"may_ask": True, "answer": {"request": {"id": "r"}, "answers": {"a": 1}}}),
    ],
)
def test_a_call_says_whether_its_server_may_ask_and_brings_the_answers(elicitation, sent):
    seen = []
    runner_client({"ok": True, "content": ""}, seen).call_tool(SERVER, ECHO, {"a": 1}, timeout_s=3, elicitation=elicitation)
    ((request, timeout_s),) = seen

    assert {name: request[name] for name in ("may_ask", "answer") if name in request} == sent
    assert (request["server"], request["arguments"], timeout_s) == ({"url": SERVER.url, "headers": {"X-Key": "k"}}, {"a": 1}, 3)


@pytest.mark.parametrize(
    ("response", "tools", "error"),
    [({"tools": [1]}, [1], None), ({"tools": []}, [], None), ({"error": "gone"}, [], "gone"), ({}, [], "The MCP server did not respond.")],
)
def test_a_listing_has_tools_or_an_error(response, tools, error):
    listing = runner_client(response).list_tools(SERVER, timeout_s=3)

    assert (listing.tools, listing.error) == (tools, error)


@pytest.mark.parametrize(("url", "parts"), [("https://a/b?key=x?y", ("https://a/b", "?key=x?y")), ("https://a/b", ("https://a/b", ""))])
def test_the_query_of_an_address_is_kept_apart(url, parts):
    assert split_query(url) == parts


# The function itself


class FakeLambda:
    """Lambda's API: responds to every invocation with `body`, after `took_s`."""

    def __init__(self, body: Any, *, took_s: float = 0.0, url: str = "https://lambda.eu-west-1.amazonaws.com", **response: Any) -> None:
        self.body, self.took_s, self.response = body, took_s, response
        self.meta = SimpleNamespace(endpoint_url=url)
        self.requests: list[Any] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> Any:  # noqa: N803 - AWS's names
        self.requests.append(json.loads(Payload))
        time.sleep(self.took_s)
        return {"Payload": BytesIO(json.dumps(self.body).encode())} | self.response


def invoker_of(client):
    invoker = Invoker("ToolrunnerFunction")
    invoker._lambda = client
    return invoker


def failing(kind, *, took_s=0.0):
    return FakeLambda({"errorType": kind, "errorMessage": "secret"}, took_s=took_s, FunctionError="Unhandled")


TIMED_OUT = "The tool did not respond within 0.02 seconds and was stopped."


@pytest.mark.parametrize(
    ("client", "timeout_s", "content"),
    [
        (failing("RequestTooLargeException"), 5.0, "The arguments are too large."),
        (failing("Sandbox.Timedout"), 0.02, TIMED_OUT),
        (failing("ReadTimeoutError"), 0.02, TIMED_OUT),
        (failing("Runtime.ExitError", took_s=0.03), 0.02, TIMED_OUT),
        (failing("Runtime.ExitError"), 5.0, "The tool crashed."),
        (failing("ServiceException", took_s=0.03), 0.02, "The tool is currently unavailable."),
        (FakeLambda([1]), 5.0, "The tool is currently unavailable."),
        (FakeLambda({"ok": True}), 5.0, "The tool is currently unavailable."),
        (FakeLambda({"ok": "yes", "content": "noon"}), 5.0, "noon"),
    ],
)
def test_a_function_that_fails_gives_a_reason_without_internals(client, timeout_s, content):
    outcome = invoker_of(client).run("echo", {"a": 1}, user_id=new_id(), timeout_s=timeout_s)

    assert (outcome.ok, outcome.content) == (False, content)


def test_a_tool_gets_its_user_its_arguments_and_ten_seconds_at_most():
    client, user_id = FakeLambda({"ok": True, "content": "noon"}), new_id()
    outcome = invoker_of(client).run("echo", {"a": 1}, user_id=user_id, timeout_s=99)
    request = {name: client.requests[0][name] for name in ("op", "name", "arguments", "user_id", "timeout_s")}

    assert (outcome.ok, outcome.content) == (True, "noon")
    assert request == {"op": "run", "name": "echo", "arguments": {"a": 1}, "user_id": str(user_id), "timeout_s": 10.0}


def listing(*names):
    return {"tools": [{"name": name, "description": "d", "parameters": {}, "source": "plugin", "scopes": ["tools"]} for name in names]}


@pytest.mark.parametrize(
    ("url", "age_s", "requests"), [("https://a.example", 59, 1), ("https://a.example", 61, 2), ("http://localhost:1", 3, 2)]
)
def test_the_list_of_tools_is_fresh_for_a_minute_and_on_a_developers_machine_for_two_seconds(url, age_s, requests):
    invoker = invoker_of(client := FakeLambda(listing("echo"), url=url))
    invoker.specs()
    invoker._listed_at_s -= age_s

    assert [(spec.name, spec.scopes) for spec in invoker.specs()] == [("echo", ("tools",))]
    assert len(client.requests) == requests


def test_a_plugin_that_cannot_be_loaded_is_logged_with_its_reason(caplog):
    client = FakeLambda(listing("echo") | {"broken": [{"plugin": "notes.py", "reason": "ImportError: x"}]})

    assert [spec.name for spec in invoker_of(client).specs()] == ["echo"]
    assert [(each.message, each.plugin, each.reason) for each in caplog.records] == [("plugin_load_failed", "notes.py", "ImportError: x")]


@pytest.mark.parametrize("broken", [{"tools": [7]}, {}, {"tools": None}])
def test_a_list_that_cannot_be_read_leaves_the_last_one(broken):
    invoker = invoker_of(client := FakeLambda(listing("echo")))
    invoker.specs()
    client.body, invoker._listed_at_s = broken, float("-inf")

    assert [spec.name for spec in invoker.specs()] == ["echo"]
