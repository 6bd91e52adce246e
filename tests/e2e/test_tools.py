"""Tools through the whole stack, and our MCP server as the official client sees it, by an API key."""

import asyncio

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


def test_a_tool_is_called(ada):
    answer = ada.post("/tools/calculator/invoke", {"arguments": {"expression": "12.5% of 840"}})

    assert (answer.status_code, answer.json()["ok"], answer.json()["content"]) == (200, True, "105")


def test_arguments_that_do_not_fit_run_nothing(ada):
    answer = ada.post("/tools/calculator/invoke", {"arguments": {"expression": 7}})

    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", "arguments", "expression"])


def test_an_mcp_client_calls_a_tool_by_an_api_key(stack, ada):
    key = ada.post("/auth/api-keys", {"name": "editor", "scopes": ["tools"]}).json()["key"]

    async def called():
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False, timeout=20) as http,
            Client(streamable_http_client(f"{stack.url}/mcp", http_client=http)) as client,
        ):
            offered = await client.list_tools()
            return [tool.name for tool in offered.tools], await client.call_tool("calculator", {"expression": "2 + 3"})

    names, found = asyncio.run(called())

    assert "calculator" in names
    assert (found.is_error, found.content[0].text) == (False, "5")


def test_the_mcp_route_wants_a_key_and_knows_no_stream(stack):
    assert [stack.http.request(method, "/mcp").status_code for method in ("POST", "GET", "DELETE")] == [401, 405, 405]
