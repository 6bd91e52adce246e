"""From the calling function to a real MCP server: the requests as one side writes and the other reads them."""

import json
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from parley.errors import Unavailable
from parley.tools.guarded_http.egress_filter import EgressFilter
from parley.tools.mcp import McpEndpoint, McpTool, RunnerMcpClient
from tests.functions.toolrunner.mcp_server import SECRET, running_notes_server
from tests.support.api_gateway import Function


@pytest.fixture
def calls(environment):
    """Return an MCP client whose requests go to the tool runner's handler."""
    from functions.toolrunner.app import handler

    return RunnerMcpClient(lambda request, *, timeout_s: handler(dict(request), Function.CONTEXT))


@pytest.fixture
def notes(environment, monkeypatch):
    with running_notes_server(is_stateless=True, json_response=True) as url:
        monkeypatch.setattr("functions.toolrunner.app.egress_filter", EgressFilter([urlsplit(url).netloc]))
        yield McpEndpoint("notes", url, {"Authorization": SECRET})


def test_a_server_is_listed_and_called(calls, notes):
    listing = calls.list_tools(notes, timeout_s=10.0)
    outcome = calls.call_tool(notes, McpTool("opened_by", {}), {}, timeout_s=10.0)

    assert ("opened_by" in [tool["name"] for tool in listing.tools], listing.error) == (True, None)
    assert (outcome.ok, outcome.content) == (True, SECRET)


def test_an_internal_server_gives_an_error_result(calls):
    inside = McpEndpoint("inside", "http://127.0.0.1:9/mcp")
    listing, outcome = calls.list_tools(inside, timeout_s=3.0), calls.call_tool(inside, McpTool("x", {}), {}, timeout_s=3.0)

    assert (listing.tools, outcome.ok) == ([], False)
    assert listing.error == outcome.content != "The server could not be reached."


def test_an_unavailable_tool_runner_gives_an_error_result():
    def silent(request, *, timeout_s):
        raise Unavailable("tool runner")

    server = McpEndpoint("notes", "https://mcp.example.com/mcp", {"Authorization": SECRET})

    assert RunnerMcpClient(silent).list_tools(server, timeout_s=3.0).error
    assert not RunnerMcpClient(silent).call_tool(server, McpTool("x", {}), {}, timeout_s=3.0).ok


def test_a_served_request_is_logged_with_its_milliseconds(environment, monkeypatch, caplog):
    from functions.toolrunner import app

    clock_s = iter([5.0, 5.2504567])
    monkeypatch.setattr(app, "time", SimpleNamespace(perf_counter=lambda: next(clock_s)))
    caplog.set_level("INFO", logger=app.logger.name)
    app.handler({"op": "list"}, Function.CONTEXT)
    lines = [json.loads(app.logger.registered_formatter.format(record)) for record in caplog.records]

    assert [(line["operation"], line["duration_ms"]) for line in lines if line["message"] == "tool_request_served"] == [("list", 250.5)]


def test_the_log_contains_no_server_credentials(calls, notes, caplog):
    calls.call_tool(notes, McpTool("fail", {}), {}, timeout_s=10.0)

    assert SECRET not in caplog.text + repr(notes)
