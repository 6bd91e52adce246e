"""A remote MCP server made with the official package, on loopback, and a plain server that a test scripts."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any

import uvicorn
from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult, MCPServer, Resolve
from pydantic import BaseModel, Field
from starlette.responses import Response

SECRET = "Bearer very-secret"


def make_notes_server() -> MCPServer:
    """Return a server with a few tools."""
    server = MCPServer("notes")

    @server.tool()
    def add(first: int, second: int) -> int:
        """Add two numbers."""
        return first + second

    @server.tool()
    def fail() -> str:
        """Fail."""
        raise ValueError("out of paper")

    @server.tool()
    async def sleep(seconds: float) -> str:
        """Sleep."""
        await asyncio.sleep(seconds)
        return "awake"

    @server.tool()
    def opened_by(context: Context) -> str:
        """Return the Authorization header."""
        return context.headers.get("authorization", "nothing") if context.headers else "nothing"

    @server.tool()
    def long() -> str:
        """Return too much text."""
        return "x" * 6_000_000

    @server.tool()
    def book(city: str, consent: Annotated[ElicitationResult[Consent], Resolve(ask_for_consent)]) -> str:
        """Book a room, if the user agrees."""
        return f"Booked a room in {city}." if isinstance(consent, AcceptedElicitation) else f"No room in {city}: {consent.action}."

    @server.tool()
    def unlock(login: Annotated[ElicitationResult[Login], Resolve(ask_for_password)]) -> str:
        """Unlock, with a password."""
        return f"Locked: {login.action}."

    @server.tool()
    def opened_for(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})], context: Context) -> str:
        """Return the header that repeats the region."""
        return context.headers.get("mcp-param-region", "nothing") if context.headers else "nothing"

    return server


class Consent(BaseModel):
    """What a tool asks the user."""

    agrees: bool


class Login(BaseModel):
    """A secret, for which no form may ask."""

    password: str


def ask_for_password() -> Elicit[Login]:
    """Ask for a secret."""
    return Elicit("What is your password?", Login)


def ask_for_consent(city: str) -> Elicit[Consent]:
    """Ask before a booking."""
    return Elicit(f"Book a room in {city}?", Consent)


class OlderRevision:
    """An app that speaks the revision before 2026-07-28, with sessions. It counts those that were ended, if it answers that at all."""

    def __init__(self, app: Any, *, answers_ends: bool = True) -> None:
        self._app = app
        self._answers_ends = answers_ends
        self.ended_sessions = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Refuse requests of newer revisions, as a server does that does not know them."""
        if scope["type"] == "http":
            if dict(scope["headers"]).get(b"mcp-protocol-version") == b"2026-07-28":
                await Response(status_code=400)(scope, receive, send)
                return
            if scope["method"] == "DELETE":
                self.ended_sessions += 1
                if not self._answers_ends:
                    await asyncio.Event().wait()
        await self._app(scope, receive, send)


@contextmanager
def running_notes_server(*, is_stateless: bool = True, json_response: bool = True) -> Iterator[str]:
    """Run the notes server and yield its URL. With sessions, it speaks an older revision: the newer one has none."""
    app = make_notes_server().streamable_http_app(stateless_http=is_stateless, json_response=json_response)
    with running_app(app if is_stateless else OlderRevision(app)) as url:
        yield url


@contextmanager
def running_app(app: Any) -> Iterator[str]:
    """Run an ASGI app with an MCP server and yield its URL."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def running_scripted_server(script: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Run a server that handles every request with `script`, and yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            script(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mcp"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
