"""Remote MCP servers as tools: where one is, what it offers, and who calls it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from parley.llm.provider import storable
from parley.tools.outcome import Outcome
from parley.tools.spec import ToolSpec

SERVER_NAME = r"^[a-z][a-z0-9_-]{0,31}$"
_TOOL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MOST_TOOLS = 100
_LONGEST_DESCRIPTION = 2_000
_LARGEST_SCHEMA_BYTES = 16 * 1024
# As JSON writes it, behind an even number of backslashes.
_ZERO = re.compile(r"(?<!\\)(\\\\)*\\u0000")


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """Where a server is, and the headers that open it."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a server said it offers: tools as `{"name", "description", "parameters"}`, or why it did not say."""

    tools: list[dict[str, Any]]
    error: str | None = None


class RemoteCalls(Protocol):
    """Calls remote servers. Both may be called by several threads at once, and neither raises."""

    def list_tools(self, server: RemoteServer, *, timeout_s: float) -> Listing:
        """Ask a server for its tools."""
        ...

    def call_tool(self, server: RemoteServer, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> Outcome:
        """Run one of its tools."""
        ...


def deployment_servers(text: str) -> list[RemoteServer]:
    """Read the servers that a deployer names: a JSON list of `{"name", "url", "headers"?}`, or nothing.

    Raises ValueError for anything else, without repeating what may be secret.
    """
    try:
        found = [RemoteServer(one["name"], one["url"], dict(one.get("headers") or {})) for one in json.loads(text or "[]")]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError('McpServers is not a JSON list of {"name", "url", "headers"}') from None
    for server in found:
        if not re.fullmatch(SERVER_NAME, server.name) or not server.url.startswith(("http://", "https://")):
            raise ValueError(f"McpServers has a server with an unfit name or address: {server.name!r}")
    if len({server.name for server in found}) < len(found):
        raise ValueError("McpServers has two servers of one name")
    return found


def usable(tools: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the tools that can be offered, a hundred at most, in words of bounded length; the others are left out.

    A name must fit into an address, and a schema be that of an object, of 16 KiB at most, that a database can store: it is
    read again by each turn, and a model is given it whole.
    """
    kept = {tool["name"]: _plain(tool) for tool in tools if _is_usable(tool)}
    return list(kept.values())[:MOST_TOOLS]


def specs(server: str, tools: Sequence[Mapping[str, Any]]) -> list[ToolSpec]:
    """Return what a server's tools are to us: `server.tool`, which may send out and change whatever they like.

    What a server says of its tools' harmlessness is not believed.
    """
    return [
        ToolSpec(f"{server}.{tool['name']}", tool["description"], tool["parameters"], "mcp", egress=True, writes=True) for tool in tools
    ]


def _is_usable(tool: Mapping[str, Any]) -> bool:
    name, parameters = tool.get("name"), tool.get("parameters")
    is_named = isinstance(name, str) and _TOOL_NAME.fullmatch(name) is not None
    return is_named and isinstance(parameters, Mapping) and parameters.get("type") == "object" and _is_storable(parameters)


def _is_storable(parameters: Mapping[str, Any]) -> bool:
    try:
        written = json.dumps(dict(parameters), allow_nan=False, ensure_ascii=False)
        return len(written.encode()) <= _LARGEST_SCHEMA_BYTES and not _ZERO.search(written)
    except (ValueError, RecursionError):  # numbers that are none, half characters, a nest without end
        return False


def _plain(tool: Mapping[str, Any]) -> dict[str, Any]:
    description = storable(str(tool.get("description") or ""))[:_LONGEST_DESCRIPTION]
    return {"name": tool["name"], "description": description, "parameters": dict(tool["parameters"])}
