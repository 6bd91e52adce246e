"""Calls remote MCP servers (Streamable HTTP) by the official client, whose every connection passes the gate.

The client is imported at the first call, since it costs more than all the rest: 1.5 s, nearly all of it for the models of
the protocol's three revisions, which every way into the package builds. A new connection for each call: what opens a server
comes with the call and goes with it.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from functions.toolrunner.requests import McpCallRequest, McpListRequest, McpServerAddress
from functions.toolrunner.time_limit import exit_after
from parley.errors import ParleyError
from parley.observability import logger
from parley.tools.guarded_http.egress_filter import EgressFilter
from parley.tools.guarded_http.errors import FetchFailed
from parley.tools.mcp import MAX_TOOLS

if TYPE_CHECKING:
    import httpx2
    from mcp import Client
    from mcp.types import CallToolResult

MAX_BYTES = 5_000_000
_MAX_PAGES = 10
_MAX_REASON_CHARACTERS = 500
_QUERY = re.compile(r"\?[^\s'\"]+")

# Before the process would be ended, there is time to say that the server was too slow.
_MARGIN_S = 0.5

type McpAnswer = dict[str, Any]
type McpCall = Callable[["Client"], Awaitable[McpAnswer]]


def preload_client() -> None:
    """Import the client now, for a function that is going to need it."""
    import mcp.client.streamable_http  # noqa: F401

    import parley.tools.guarded_http.transport  # noqa: F401


def list_tools(mcp_request: McpListRequest, *, egress_filter: EgressFilter) -> McpAnswer:
    """Return `{"tools": [{"name", "description", "parameters"}, …]}`, or `{"error": why}`. Never raises."""

    async def listed(client: "Client") -> McpAnswer:
        return {"tools": [tool async for tool in _tools(client)]}

    return _ask_server(mcp_request, listed, egress_filter=egress_filter)


def call_tool(mcp_request: McpCallRequest, *, egress_filter: EgressFilter) -> McpAnswer:
    """Return `{"ok", "content"}` of a tool's run, or `{"error": why}`. Never raises."""

    async def called(client: "Client") -> McpAnswer:
        found = await client.call_tool(mcp_request.name, mcp_request.arguments)
        return {"ok": not found.is_error, "content": _render_result(found)}

    return _ask_server(mcp_request, called, egress_filter=egress_filter)


def _ask_server(mcp_request: McpListRequest | McpCallRequest, ask: McpCall, *, egress_filter: EgressFilter) -> McpAnswer:
    ends_s = time.monotonic() + max(mcp_request.timeout_s - _MARGIN_S, mcp_request.timeout_s / 2)
    try:
        with exit_after(mcp_request.timeout_s):
            return asyncio.run(_connect_and_ask(mcp_request.server, ask, egress_filter, ends_s))
    except TimeoutError:
        return {"error": "The server did not answer in time."}
    except Exception as exc:  # the client's own are many, and come in groups
        reason = _reason(exc)
        # Without what stands behind an address's question mark, where some servers want their key.
        logger.warning("an MCP server failed", reason=_QUERY.sub("?…", repr(_root_cause(exc)))[:_MAX_REASON_CHARACTERS])
        return {"error": reason}


async def _connect_and_ask(server: McpServerAddress, ask: McpCall, egress_filter: EgressFilter, ends_s: float) -> McpAnswer:
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    timeout_s = max(ends_s - time.monotonic(), 0.0)
    async with asyncio.timeout(timeout_s):
        # Unpacked, so that what is counted is what is kept.
        headers = server.headers | {"Accept-Encoding": "identity"}
        transport = _bounded_transport(egress_filter)
        async with (
            httpx2.AsyncClient(transport=transport, headers=headers, timeout=timeout_s, trust_env=False) as http,
            Client(streamable_http_client(server.url, http_client=http), cache=None) as client,
        ):
            return await ask(client)


async def _tools(client: "Client") -> AsyncIterator[McpAnswer]:
    cursor: str | None = None
    count = 0
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            yield {"name": tool.name, "description": tool.description or "", "parameters": tool.input_schema}
        count, cursor = count + len(page.tools), page.next_cursor
        if cursor is None or count >= MAX_TOOLS:
            return


def _render_result(result: "CallToolResult") -> str:
    """Write what a tool answered as text; what is none is named."""
    parts = [_render_block(block) for block in result.content]
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)


def _render_block(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "resource" if hasattr(block.resource, "text"):
            return str(block.resource.text)
        case kind:
            return f"[{kind} left out]"


def _reason(exc: BaseException) -> str:
    """Say what went wrong. The words of a server are its own: a model must take them for nothing more."""
    found = _root_cause(exc)
    if isinstance(found, ParleyError):
        return found.public_message
    message = str(getattr(found, "message", "")) if type(found).__name__ == "MCPError" else ""
    return f"The server answered with an error: {message[:_MAX_REASON_CHARACTERS]}" if message else "The server could not be reached."


def _root_cause(exc: BaseException) -> BaseException:
    """Return what went wrong at first: the gate's word, where it spoke, or else the innermost of the groups."""
    found: BaseException | None = exc
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    seen = found
    while seen is not None:
        if isinstance(seen, FetchFailed):
            return seen
        seen = seen.__cause__ or seen.__context__
    return found or exc


def _bounded_transport(egress_filter: EgressFilter) -> "httpx2.AsyncBaseTransport":
    """Make a transport through the gate that gives up on an answer of more than 5 MB, or one that is packed."""
    import httpx2

    from parley.tools.guarded_http.transport import AsyncGuardedTransport

    class Counted(httpx2.AsyncByteStream):
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for chunk in self._inner:
                size += len(chunk)
                if size > MAX_BYTES:
                    raise FetchFailed(f"The answer is larger than {MAX_BYTES / 1_000_000:g} MB.")
                yield chunk

        async def aclose(self) -> None:
            await self._inner.aclose()

    class Bounded(AsyncGuardedTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            response = await super().handle_async_request(request)
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                await response.aclose()
                raise FetchFailed("The answer is packed, which was not asked for.")
            response.stream = Counted(response.stream)
            return response

    return Bounded(egress_filter)
