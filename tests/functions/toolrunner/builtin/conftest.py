"""A web server on loopback, and a context in which built-in tools reach it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from parley.ids import new_id
from parley.tools.guarded_http.client import GuardedHttp
from parley.tools.spec import ToolContext


class Web:
    """A server that serves `pages`, by path: status, content type and body. `requests` records the paths with their queries."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, str, bytes]] = {}
        self.requests: list[str] = []
        self.port = 0

    @property
    def call(self) -> ToolContext:
        """Return a context whose HTTP client resolves every name to this server."""
        return ToolContext(new_id(), GuardedHttp([f"web.example:{self.port}"], resolve=lambda host, port: ["127.0.0.1"]))

    def url(self, path: str) -> str:
        return f"http://web.example:{self.port}{path}"

    def put(self, path: str, body: Any, kind: str = "application/json", status: int = 200) -> str:
        self.pages[path] = (status, kind, body if isinstance(body, bytes) else json.dumps(body).encode())
        return self.url(path)


@pytest.fixture
def web() -> Iterator[Web]:
    web_server = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web_server.requests.append(self.path)
            status, kind, body = web_server.pages.get(self.path.partition("?")[0], (404, "text/plain", b"not here"))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web_server.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield web_server
    server.shutdown()
    server.server_close()
    thread.join()
