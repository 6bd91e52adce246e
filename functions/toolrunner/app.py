"""The tool runner: lists the deployment's tools and runs one at a time. Not a web function; its role may do nothing."""

from parley import cold_start  # isort: split

from pathlib import Path
from typing import Any

from functions.toolrunner.execution import run_tool
from functions.toolrunner.mcp_client import call_tool, list_tools, preload_client
from functions.toolrunner.registry import Registry, builtin_tools, find_plugins
from functions.toolrunner.requests import ListRequest, McpCallRequest, McpListRequest, RunRequest, parse_request
from parley.observability import logger
from parley.settings import Settings
from parley.tools.guarded_http.client import GuardedHttp
from parley.tools.guarded_http.egress_filter import EgressFilter


class ToolrunnerSettings(Settings):
    """What this function reads from its environment.

    `tool_allowed_hosts` are names, or names with ports, separated by commas, that tools may reach wherever they are: for
    development, where they stand in for what is on the internet. `calls_mcp` says that there are MCP servers for everybody.
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


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Do one order: `{"op": "list"}` or `{"op": "run", "name", "arguments", "user_id", "timeout_s"}`, or, for the remote MCP
    server at `"server": {"url", "headers"}`, `{"op": "mcp_list", …}` or `{"op": "mcp_call", "name", "arguments", …}`.

    A list is `{"tools": [ToolSpec as an object], "broken": [{"plugin", "reason"}]}`, a run `{"ok", "content"}`. A tool that
    overruns its time takes this process with it: the caller sees that the invocation failed. Raises ValidationError for
    anything else.
    """
    match parse_request(event):
        case ListRequest():
            return registry.listed()
        case RunRequest() as request:
            return run_tool(registry, request, http)
        case McpListRequest() as request:
            return list_tools(request, egress_filter=egress_filter)
        case McpCallRequest() as request:
            return call_tool(request, egress_filter=egress_filter)


cold_start.finish()
