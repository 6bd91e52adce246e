"""The MCP SDK for Python."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx2
from checks import KEY, URL, check, equal
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

HEADERS = {"Authorization": f"Bearer {KEY}"}


def run[Result](use: Callable[[Client], Awaitable[Result]]) -> Result:
    """Connect, use the client and return its result."""

    async def connect() -> Result:
        async with (
            httpx2.AsyncClient(headers=HEADERS) as http,
            Client(streamable_http_client(f"{URL}/mcp", http_client=http)) as client,
        ):
            return await use(client)

    return asyncio.run(connect())


@check("list of tools")
def _() -> None:
    tools = run(lambda client: client.list_tools()).tools
    assert {"calculator", "current_time"} <= {tool.name for tool in tools}


@check("tool call")
def _() -> None:
    result = run(lambda client: client.call_tool("calculator", {"expression": "12.5 / 100 * 840"}))
    equal((result.is_error, result.content[0].text), (False, "105"))


@check("failed tool call")
def _() -> None:
    assert run(lambda client: client.call_tool("calculator", {"expression": "1 / 0"})).is_error


@check("errors")
def _() -> None:
    HEADERS["Authorization"] = "Bearer wrong"
    is_refused = False
    try:
        run(lambda client: client.list_tools())
    except* MCPError:
        is_refused = True
    assert is_refused
