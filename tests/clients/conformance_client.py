"""Parley's client of MCP servers, as MCP's conformance suite runs it: list the tools of a server, then call each of them.

The suite starts the server and appends its address to the command. `MCP_CONFORMANCE_CONTEXT` may hold the calls to make; otherwise
each tool is called once, with sample arguments.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from functions.toolrunner.mcp_client import call_tool, list_tools
from functions.toolrunner.requests import McpCallRequest, McpListRequest, McpServerAddress
from parley.tools.guarded_http.egress_filter import EgressFilter
from parley.tools.mcp import usable_tools
from parley.tools.spec import MAX_TIMEOUT_S
from tests.clients.model import sample


def main() -> int:
    """List and call the tools, and return the exit status: 1 if they cannot be listed."""
    url = sys.argv[-1]
    server, egress_filter = McpServerAddress(url=url), EgressFilter([urlsplit(url).netloc])
    listed = list_tools(McpListRequest(op="mcp_list", server=server, timeout_s=MAX_TIMEOUT_S), egress_filter=egress_filter)
    if "error" in listed:
        print(listed["error"])
        return 1
    tools = {tool["name"]: tool["parameters"] for tool in usable_tools(listed["tools"])}
    for name, arguments in calls(tools, json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")):
        call = {"name": name, "parameters": tools[name], "arguments": arguments}
        request = McpCallRequest(op="mcp_call", server=server, timeout_s=MAX_TIMEOUT_S, **call)
        print(name, call_tool(request, egress_filter=egress_filter))
    return 0


def calls(tools: Mapping[str, Any], context: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the names and arguments of the calls to make.

    Parley refuses null where the schema does not allow it, and a model then leaves the argument out. A tool that takes a schema gets
    that of the first tool, as Parley has read it.
    """
    if planned := context.get("toolCalls"):
        for call in planned:
            yield call["name"], {name: value for name, value in call["arguments"].items() if value is not None}
    else:
        first = next(iter(tools.values()), None)
        for name, parameters in tools.items():
            takes_schema = "schema" in parameters.get("properties", {})
            yield name, {"schema": first} if takes_schema else sample(parameters)


if __name__ == "__main__":
    sys.exit(main())
