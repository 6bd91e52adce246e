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

from functions.toolrunner.orders import McpCallOrder, McpListOrder, McpServerIn
from functions.toolrunner.watchdog import at_most
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
_MOST_PAGES = 10
_LONGEST_REASON = 500
_QUERY = re.compile(r"\?[^\s'\"]+")

# Before the process would be ended, there is time to say that the server was too slow.
_MARGIN_S = 0.5

type Answer = dict[str, Any]
type Ask = Callable[["Client"], Awaitable[Answer]]


def warm_up() -> None:
    """Import the client now, for a function that is going to need it."""
    import mcp.client.streamable_http  # noqa: F401

    import parley.tools.guarded_http.transport  # noqa: F401


def list_tools(order: McpListOrder, *, egress_filter: EgressFilter) -> Answer:
    """Return `{"tools": [{"name", "description", "parameters"}, …]}`, or `{"error": why}`. Never raises."""

    async def listed(client: "Client") -> Answer:
        return {"tools": [tool async for tool in _tools(client)]}

    return _asked(order, listed, egress_filter=egress_filter)


def call_tool(order: McpCallOrder, *, egress_filter: EgressFilter) -> Answer:
    """Return `{"ok", "content"}` of a tool's run, or `{"error": why}`. Never raises."""

    async def called(client: "Client") -> Answer:
        found = await client.call_tool(order.name, order.arguments)
        return {"ok": not found.is_error, "content": _text(found)}

    return _asked(order, called, egress_filter=egress_filter)


def _asked(order: McpListOrder | McpCallOrder, ask: Ask, *, egress_filter: EgressFilter) -> Answer:
    ends_s = time.monotonic() + max(order.timeout_s - _MARGIN_S, order.timeout_s / 2)
    try:
        with at_most(order.timeout_s):
            return asyncio.run(_connected(order.server, ask, egress_filter, ends_s))
    except TimeoutError:
        return {"error": "The server did not answer in time."}
    except Exception as exc:  # the client's own are many, and come in groups
        reason = _reason(exc)
        # Without what stands behind an address's question mark, where some servers want their key.
        logger.warning("an MCP server failed", reason=_QUERY.sub("?…", repr(_first(exc)))[:_LONGEST_REASON])
        return {"error": reason}


async def _connected(server: McpServerIn, ask: Ask, egress_filter: EgressFilter, ends_s: float) -> Answer:
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    timeout_s = max(ends_s - time.monotonic(), 0.0)
    async with asyncio.timeout(timeout_s):
        # Unpacked, so that what is counted is what is kept.
        headers = server.headers | {"Accept-Encoding": "identity"}
        transport = _bounded(egress_filter)
        async with (
            httpx2.AsyncClient(transport=transport, headers=headers, timeout=timeout_s, trust_env=False) as http,
            Client(streamable_http_client(server.url, http_client=http), cache=None) as client,
        ):
            return await ask(client)


async def _tools(client: "Client") -> AsyncIterator[Answer]:
    cursor: str | None = None
    count = 0
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            yield {"name": tool.name, "description": tool.description or "", "parameters": tool.input_schema}
        count, cursor = count + len(page.tools), page.next_cursor
        if cursor is None or count >= MAX_TOOLS:
            return


def _text(result: "CallToolResult") -> str:
    """Write what a tool answered as text; what is none is named."""
    parts = [_part(block) for block in result.content]
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)


def _part(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "resource" if hasattr(block.resource, "text"):
            return str(block.resource.text)
        case kind:
            return f"[{kind} left out]"


def _reason(exc: BaseException) -> str:
    """Say what went wrong. The words of a server are its own: a model must take them for nothing more."""
    found = _first(exc)
    if isinstance(found, ParleyError):
        return found.public_message
    message = str(getattr(found, "message", "")) if type(found).__name__ == "MCPError" else ""
    return f"The server answered with an error: {message[:_LONGEST_REASON]}" if message else "The server could not be reached."


def _first(exc: BaseException) -> BaseException:
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


def _bounded(egress_filter: EgressFilter) -> "httpx2.AsyncBaseTransport":
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
