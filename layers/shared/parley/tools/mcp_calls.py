"""Remote MCP servers, called by the `toolrunner` function: what opens a server travels in the payload of that one call."""

import time
from collections.abc import Mapping
from typing import Any, Protocol

from parley.errors import ParleyError
from parley.observability import logger
from parley.tools.outcome import Outcome
from parley.tools.remote import Listing, RemoteServer


class Ask(Protocol):
    """Sends an order to the `toolrunner` and returns what it says. Raises ParleyError where it says nothing."""

    def __call__(self, order: Mapping[str, Any], *, timeout_s: float) -> Mapping[str, Any]:
        """Send one order."""
        ...


class McpCalls:
    """Calls servers through `ask`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def list_tools(self, server: RemoteServer, *, timeout_s: float) -> Listing:
        """Ask a server for its tools; a failure is a listing with an error. Never raises."""
        said = self._said({"op": "mcp_list", "server": _opened(server), "timeout_s": timeout_s}, timeout_s)
        tools = said.get("tools")
        return Listing(tools) if isinstance(tools, list) else Listing([], str(said.get("error") or "The server could not be asked."))

    def call_tool(self, server: RemoteServer, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> Outcome:
        """Run one of its tools. Never raises."""
        started = time.perf_counter()
        order = {"op": "mcp_call", "server": _opened(server), "name": name, "arguments": dict(arguments), "timeout_s": timeout_s}
        said = self._said(order, timeout_s)
        content = said.get("content") if "content" in said else said.get("error") or "The server could not be asked."
        return Outcome(said.get("ok") is True, str(content), (time.perf_counter() - started) * 1000)

    def _said(self, order: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
        try:
            return self._ask(order, timeout_s=timeout_s)
        except ParleyError as exc:
            logger.warning("an MCP server cannot be asked", reason=str(exc))
            return {"error": exc.public_message}


def _opened(server: RemoteServer) -> dict[str, Any]:
    return {"url": server.url, "headers": dict(server.headers)}
