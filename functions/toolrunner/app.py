"""The tool runner: lists the deployment's tools and runs one at a time. It is not a web function, and its role has no permissions."""

from parley import cold_start  # isort: split

import time
from pathlib import Path
from typing import Any

from functions.toolrunner.execution import fetch_json, post_event, run_tool
from functions.toolrunner.mcp_client import call_tool, list_tools, preload_client
from functions.toolrunner.registry import Registry, builtin_tools, find_plugins
from functions.toolrunner.requests import (
    FetchJsonRequest,
    ListRequest,
    McpCallRequest,
    McpListRequest,
    PostEventRequest,
    RunRequest,
    SearchWebRequest,
    ToolrunnerRequest,
    parse_request,
)
from functions.toolrunner.web_search import search_web
from parley.observability import logger
from parley.observability.invocations import invocation_handler
from parley.settings import Settings
from parley.tools.guarded_http.client import GuardedHttp
from parley.tools.guarded_http.egress_filter import EgressFilter


class ToolrunnerSettings(Settings):
    """The settings of the tool runner.

    `tool_allowed_hosts` is a comma-separated list of `host` or `host:port` that tools may reach even if their addresses
    are private. It is for development, where such hosts replace services on the internet. `calls_mcp` is true if the
    deployment has MCP servers for all users.
    """

    tool_allowed_hosts: str
    geocoding_url: str
    forecast_url: str
    calls_mcp: bool


settings = ToolrunnerSettings.read()
allowed_hosts = settings.tool_allowed_hosts.split(",")
http, egress_filter = GuardedHttp(allowed_hosts), EgressFilter(allowed_hosts)
registry = Registry(builtin_tools(geocoding_url=settings.geocoding_url, forecast_url=settings.forecast_url))
registry.load(find_plugins(Path(__file__).with_name("plugins")))
if settings.calls_mcp:
    preload_client()


@invocation_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request.

    - `{"op": "list"}` returns `{"tools": [ToolSpec as an object], "broken": [{"plugin", "reason"}]}`.
    - `{"op": "run", "name", "arguments", "user_id", "timeout_s"}` returns `{"ok", "content"}`.
    - `{"op": "mcp_list", "server": {"url", "headers"}, "timeout_s"}` and `{"op": "mcp_call", "server", "name", "arguments",
      "timeout_s"}` do the same with a remote MCP server, or return `{"error"}`. With `may_ask`, a tool that asks its user returns
      `{"asked": {"form", "request"}}`, and the call with `"answer": {"request", "answers"}` continues it.
    - `{"op": "fetch_json", "url", "timeout_s"}` returns a public JSON document as `{"status", "url", "document"}`, or `{"error"}`.
    - `{"op": "search_web", "engine", "url", "key", "query", "timeout_s"}` returns `{"results": [{"url", "title", "text"}]}`, or
      `{"error"}`.
    - `{"op": "post_event", "url", "headers", "body", "timeout_s"}` sends an event to a web hook and returns `{"status"}`, or `{"error"}`.

    A tool that exceeds its time ends this process, and the caller sees a failed invocation. Raises ValidationError for any
    other event.
    """
    request, started_s = parse_request(event), time.perf_counter()
    response = _serve(request)
    logger.info("tool_request_served", operation=request.op, duration_ms=round((time.perf_counter() - started_s) * 1000, 1))
    return response


def _serve(request: ToolrunnerRequest) -> dict[str, Any]:
    match request:
        case ListRequest():
            return registry.listed()
        case RunRequest():
            return run_tool(registry, request, http)
        case McpListRequest():
            return list_tools(request, egress_filter=egress_filter)
        case McpCallRequest():
            return call_tool(request, egress_filter=egress_filter)
        case FetchJsonRequest():
            return fetch_json(request, http)
        case SearchWebRequest():
            return search_web(request, http)
        case PostEventRequest():
            return post_event(request, http)


cold_start.finish()
