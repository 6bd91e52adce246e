"""Remote MCP servers as tools: endpoints, tool lists, and the client that calls them.

The `toolrunner` function opens the connection; a server's headers travel in the payload of that one call.
"""

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from parley.errors import ParleyError
from parley.llm.provider import storable
from parley.observability import logger
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import ToolSpec

SERVER_NAME = r"^[a-z][a-z0-9_-]{0,31}$"
_MCP_TOOL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MAX_TOOLS = 100
_MAX_DESCRIPTION = 2_000
_MAX_SCHEMA_BYTES = 16 * 1024
# As JSON writes it, behind an even number of backslashes.
_NUL_ESCAPE = re.compile(r"(?<!\\)(\\\\)*\\u0000")


@dataclass(frozen=True, slots=True)
class McpEndpoint:
    """Where a server is, and the headers that open it."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class McpToolList:
    """What a server said it offers: tools as `{"name", "description", "parameters"}`, or why it did not say."""

    tools: list[dict[str, Any]]
    error: str | None = None


class McpClient(Protocol):
    """Calls remote servers. Both may be called by several threads at once, and neither raises."""

    def list_tools(self, server: McpEndpoint, *, timeout_s: float) -> McpToolList:
        """Ask a server for its tools."""
        ...

    def call_tool(self, server: McpEndpoint, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> ToolOutcome:
        """Run one of its tools."""
        ...


def parse_deployment_servers(text: str) -> list[McpEndpoint]:
    """Read the servers that a deployer names: a JSON list of `{"name", "url", "headers"?}`, or nothing.

    Raises ValueError for anything else, without repeating what may be secret.
    """
    try:
        found = [McpEndpoint(one["name"], one["url"], dict(one.get("headers") or {})) for one in json.loads(text or "[]")]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError('McpServers is not a JSON list of {"name", "url", "headers"}') from None
    for server in found:
        if not re.fullmatch(SERVER_NAME, server.name) or not server.url.startswith(("http://", "https://")):
            raise ValueError(f"McpServers has a server with an unfit name or address: {server.name!r}")
    if len({server.name for server in found}) < len(found):
        raise ValueError("McpServers has two servers of one name")
    return found


def usable_tools(tools: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the tools that can be offered, a hundred at most, in words of bounded length; the others are left out.

    A name must fit into an address, and a schema be that of an object, of 16 KiB at most, that a database can store: it is
    read again by each turn, and a model is given it whole.
    """
    kept = {tool["name"]: _usable_tool(tool) for tool in tools if _is_usable(tool)}
    return list(kept.values())[:MAX_TOOLS]


def mcp_tool_specs(server: str, tools: Sequence[Mapping[str, Any]]) -> list[ToolSpec]:
    """Return what a server's tools are to us: `server.tool`, which may send out and change whatever they like.

    What a server says of its tools' harmlessness is not believed.
    """
    return [
        ToolSpec(f"{server}.{tool['name']}", tool["description"], tool["parameters"], "mcp", egress=True, writes=True) for tool in tools
    ]


def _is_usable(tool: Mapping[str, Any]) -> bool:
    name, parameters = tool.get("name"), tool.get("parameters")
    is_named = isinstance(name, str) and _MCP_TOOL_NAME.fullmatch(name) is not None
    return is_named and isinstance(parameters, Mapping) and parameters.get("type") == "object" and _is_storable(parameters)


def _is_storable(parameters: Mapping[str, Any]) -> bool:
    try:
        written = json.dumps(dict(parameters), allow_nan=False, ensure_ascii=False)
        return len(written.encode()) <= _MAX_SCHEMA_BYTES and not _NUL_ESCAPE.search(written)
    except (ValueError, RecursionError):  # numbers that are none, half characters, a nest without end
        return False


def _usable_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    description = storable(str(tool.get("description") or ""))[:_MAX_DESCRIPTION]
    return {"name": tool["name"], "description": description, "parameters": dict(tool["parameters"])}


class SendToRunner(Protocol):
    """Sends an order to the `toolrunner` and returns what it says. Raises ParleyError where it says nothing."""

    def __call__(self, request: Mapping[str, Any], *, timeout_s: float) -> Mapping[str, Any]:
        """Send one order."""
        ...


class RunnerMcpClient:
    """Calls servers through `ask`."""

    def __init__(self, ask: SendToRunner) -> None:
        self._ask = ask

    def list_tools(self, server: McpEndpoint, *, timeout_s: float) -> McpToolList:
        """Ask a server for its tools; a failure is a listing with an error. Never raises."""
        reply = self._send({"op": "mcp_list", "server": _server_payload(server), "timeout_s": timeout_s}, timeout_s)
        tools = reply.get("tools")
        return (
            McpToolList(tools) if isinstance(tools, list) else McpToolList([], str(reply.get("error") or "The server could not be asked."))
        )

    def call_tool(self, server: McpEndpoint, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> ToolOutcome:
        """Run one of its tools. Never raises."""
        started = time.perf_counter()
        request = {"op": "mcp_call", "server": _server_payload(server), "name": name, "arguments": dict(arguments), "timeout_s": timeout_s}
        reply = self._send(request, timeout_s)
        content = reply.get("content") if "content" in reply else reply.get("error") or "The server could not be asked."
        return ToolOutcome(reply.get("ok") is True, str(content), (time.perf_counter() - started) * 1000)

    def _send(self, request: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
        try:
            return self._ask(request, timeout_s=timeout_s)
        except ParleyError as exc:
            logger.warning("an MCP server cannot be asked", reason=str(exc))
            return {"error": exc.public_message}


def _server_payload(server: McpEndpoint) -> dict[str, Any]:
    return {"url": server.url, "headers": dict(server.headers)}
