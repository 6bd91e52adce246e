"""Remote MCP servers as tools: endpoints, tool lists, and the client that calls them.

The `toolrunner` function opens the connection; a server's headers are sent in the payload of that call.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Protocol

from parley.errors import ParleyError
from parley.llm.provider import storable
from parley.observability import logger
from parley.tools.arguments import parse_errors, rejected_arguments
from parley.tools.outcome import AskedForm, ToolOutcome
from parley.tools.schema_bounds import check_schema
from parley.tools.spec import ToolSpec

SERVER_NAME = r"^[a-z][a-z0-9_-]{0,31}$"
_MCP_TOOL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NO_RESPONSE = "The MCP server did not respond."
MAX_TOOLS = 100
MAX_LISTING_BYTES = 256 * 1024
_MAX_DESCRIPTION = 2_000
_MAX_SCHEMA_BYTES = 16 * 1024
# NUL as JSON writes it, after an even number of backslashes.
_NUL_ESCAPE = re.compile(r"(?<!\\)(\\\\)*\\u0000")


@dataclass(frozen=True, slots=True)
class McpEndpoint:
    """A server's URL and the headers that authenticate requests to it."""

    name: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class McpTool:
    """A tool of a server: its name on that server, and the JSON schema of its arguments."""

    name: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Elicitation:
    """How a call of a tool may ask the user (elicitation), and the answer to the question that it asked last.

    `request` is the `request` of that question, None if this is the first attempt. `answers` are None if the user declined.
    """

    may_ask: bool = True
    request: Mapping[str, Any] | None = None
    answers: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the elicitation as fields of a request to the tool runner."""
        answer = {"request": dict(self.request), "answers": None if self.answers is None else dict(self.answers)} if self.request else None
        return {"may_ask": self.may_ask} | ({"answer": answer} if answer else {})


@dataclass(frozen=True, slots=True)
class McpToolList:
    """The tools that a server reported, each as `{"name", "description", "parameters"}`, or the error."""

    tools: list[dict[str, Any]]
    error: str | None = None


class McpClient(Protocol):
    """Calls remote servers. Both methods are thread-safe and never raise."""

    def list_tools(self, server: McpEndpoint, *, timeout_s: float) -> McpToolList:
        """Return the server's tools or the error."""
        ...

    def call_tool(
        self,
        server: McpEndpoint,
        tool: McpTool,
        arguments: Mapping[str, Any],
        *,
        timeout_s: float,
        elicitation: Elicitation | None = None,
    ) -> ToolOutcome:
        """Run one of the server's tools, if the arguments match its schema. Without `elicitation`, its questions are declined."""
        ...


def parse_deployment_servers(text: str) -> list[McpEndpoint]:
    """Parse the deployment's servers: a JSON list of `{"name", "url", "headers"?}`, or an empty string.

    Raises ValueError for anything else. The message does not repeat headers.
    """
    try:
        servers = [McpEndpoint(item["name"], item["url"], dict(item.get("headers") or {})) for item in json.loads(text or "[]")]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError('McpServers must be a JSON list of {"name", "url", "headers"}') from None
    for server in servers:
        if not re.fullmatch(SERVER_NAME, server.name) or not server.url.startswith(("http://", "https://")):
            raise ValueError(f"McpServers has a server with an invalid name or URL: {server.name!r}")
    if len({server.name for server in servers}) < len(servers):
        raise ValueError("McpServers has two servers with the same name")
    return servers


def usable_tools(tools: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the tools that can be offered, at most `MAX_TOOLS`, with shortened descriptions; leave out the others.

    A tool's name must fit into a URL. Its schema must describe an object, have at most 16 KiB, be storable in PostgreSQL and
    be within the bounds of `check_schema`: every turn reads it, and the model receives all of it. All tools together have at
    most 256 KiB.
    """
    usable = list({tool["name"]: _usable_tool(tool) for tool in tools if _is_usable(tool)}.values())[:MAX_TOOLS]
    sizes = accumulate(len(json.dumps(tool).encode()) for tool in usable)
    return [tool for tool, size in zip(usable, sizes, strict=True) if size <= MAX_LISTING_BYTES]


def mcp_tool_specs(server: str, tools: Sequence[Mapping[str, Any]]) -> list[ToolSpec]:
    """Return a server's tools as specifications named `server.tool`, all with `egress` and `writes`.

    A server's own hints that a tool is harmless are ignored.
    """
    return [
        ToolSpec(f"{server}.{tool['name']}", tool["description"], tool["parameters"], "mcp", egress=True, writes=True) for tool in tools
    ]


def _is_usable(tool: Mapping[str, Any]) -> bool:
    name, parameters = tool.get("name"), tool.get("parameters")
    is_named = isinstance(name, str) and _MCP_TOOL_NAME.fullmatch(name) is not None
    return is_named and isinstance(parameters, Mapping) and parameters.get("type") == "object" and _is_bounded(parameters)


def _is_bounded(parameters: Mapping[str, Any]) -> bool:
    try:
        written = json.dumps(dict(parameters), allow_nan=False, ensure_ascii=False)
        if len(written.encode()) > _MAX_SCHEMA_BYTES or _NUL_ESCAPE.search(written):
            return False
        check_schema(parameters)
    except (ValueError, RecursionError):  # NaN and infinity, lone surrogates, unbounded nesting, SchemaTooComplex
        return False
    return True


def _usable_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    description = storable(str(tool.get("description") or ""))[:_MAX_DESCRIPTION]
    return {"name": tool["name"], "description": description, "parameters": dict(tool["parameters"])}


class SendToRunner(Protocol):
    """Sends a request to the `toolrunner` function and returns its response. Raises ParleyError if it does not respond."""

    def __call__(self, request: Mapping[str, Any], *, timeout_s: float) -> Mapping[str, Any]:
        """Send one request."""
        ...


class RunnerMcpClient:
    """An `McpClient` that calls servers through the `toolrunner` function."""

    def __init__(self, send: SendToRunner) -> None:
        self._send_to_runner = send

    def list_tools(self, server: McpEndpoint, *, timeout_s: float) -> McpToolList:
        """Return the server's tools or, after a failure, the error. Never raises."""
        response = self._send({"op": "mcp_list", "server": _server_payload(server), "timeout_s": timeout_s}, timeout_s)
        tools = response.get("tools")
        return McpToolList(tools) if isinstance(tools, list) else McpToolList([], str(response.get("error") or _NO_RESPONSE))

    def call_tool(
        self,
        server: McpEndpoint,
        tool: McpTool,
        arguments: Mapping[str, Any],
        *,
        timeout_s: float,
        elicitation: Elicitation | None = None,
    ) -> ToolOutcome:
        """Run one of the server's tools, if the arguments match its schema. Never raises."""
        call = {"name": tool.name, "parameters": dict(tool.parameters), "arguments": dict(arguments)}
        call |= elicitation.to_json() if elicitation else {}
        response = self._send({"op": "mcp_call", "server": _server_payload(server), "timeout_s": timeout_s} | call, timeout_s)
        if errors := parse_errors(response.get("argument_errors")):
            return rejected_arguments(errors)
        if isinstance(asked := response.get("asked"), Mapping):
            return ToolOutcome(True, "", asked=AskedForm(asked["form"], asked["request"]))
        content = response.get("content") if "content" in response else response.get("error") or _NO_RESPONSE
        return ToolOutcome(response.get("ok") is True, str(content))

    def _send(self, request: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
        try:
            return self._send_to_runner(request, timeout_s=timeout_s)
        except ParleyError as exc:
            logger.warning("mcp_request_failed", reason=str(exc))
            return {"error": exc.public_message}


def _server_payload(server: McpEndpoint) -> dict[str, Any]:
    return {"url": server.url, "headers": dict(server.headers)}
