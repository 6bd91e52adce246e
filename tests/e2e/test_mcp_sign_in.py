"""The official MCP client signs its user in by a browser, through the whole stack."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

from tests.fakes.oauth_client import parameters_of
from tests.support.time_limits import HANG_S

CALLBACK = "http://127.0.0.1:9/callback"


class Editor:
    """A program with the official client. `user` consents in the page whenever the client opens it; the tokens stay in memory."""

    def __init__(self, stack, user):
        self.stack, self.user = stack, user
        self.stored = {}
        self.consents = 0

    async def get_tokens(self):
        return self.stored.get("tokens")

    async def set_tokens(self, tokens):
        self.stored["tokens"] = tokens

    async def get_client_info(self):
        return self.stored.get("client")

    async def set_client_info(self, client):
        self.stored["client"] = client

    async def open_browser(self, url):
        page = self.stack.http.get(url)
        query = urlsplit(page.headers["location"]).fragment.removeprefix("/connect?")
        answer = self.user.post("/auth/authorizations", {"query": query, "approve": True}).json()
        self.consents += 1
        self.answer = parameters_of(answer["redirect_to"])

    async def callback(self):
        return AuthorizationCodeResult(**self.answer)

    @asynccontextmanager
    async def connected(self):
        metadata = OAuthClientMetadata(client_name="Editor", redirect_uris=[CALLBACK])
        provider = OAuthClientProvider(f"{self.stack.url}/mcp", metadata, self, self.open_browser, self.callback)
        async with (
            httpx2.AsyncClient(auth=provider, trust_env=False, timeout=HANG_S) as http,
            Client(streamable_http_client(f"{self.stack.url}/mcp", http_client=http)) as client,
        ):
            yield client, provider

    def sum(self):
        """Connect, let the calculator add, and return its result."""

        async def add():
            async with self.connected() as (client, _):
                return (await client.call_tool("calculator", {"expression": "2 + 3"})).content[0].text

        return asyncio.run(add())


@pytest.fixture
def editor(stack, ada):
    return Editor(stack, ada)


def sessions_of(ada):
    return {item["client_name"]: item["id"] for item in ada.get("/auth/sessions").json()["items"]}


def test_the_official_client_signs_in_and_calls_a_tool(editor, ada):
    assert (editor.sum(), editor.consents) == ("5", 1)
    assert "Editor" in sessions_of(ada)


def test_an_expired_token_is_renewed_without_the_user(editor):
    async def call_twice():
        async with editor.connected() as (client, provider):
            first = editor.stored["tokens"].refresh_token
            provider.context.token_expiry_time = 1.0
            return first, await client.list_tools()

    first, _ = asyncio.run(call_twice())

    assert editor.stored["tokens"].refresh_token != first
    assert editor.consents == 1


def test_a_client_whose_session_the_user_has_ended_must_ask_again(editor, ada):
    editor.sum()
    ada.delete(f"/auth/sessions/{sessions_of(ada)['Editor']}")

    assert (editor.sum(), editor.consents) == ("5", 2)


def test_the_gateway_lets_a_clients_token_reach_no_other_route(editor, stack):
    editor.sum()
    headers = {"Authorization": f"Bearer {editor.stored['tokens'].access_token}"}
    refused = {path: stack.http.get(path, headers=headers).status_code for path in ("/tools", "/auth/me", "/models", "/conversations")}

    assert set(refused.values()) == {403}, refused
