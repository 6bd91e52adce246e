"""Built-in tools, called as the tool runner calls them, and a web for them on loopback."""

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
    """A server with a few pages: path without query → status, content type, body. `asked` are the paths as they came."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, str, bytes]] = {}
        self.asked: list[str] = []
        self.port = 0

    @property
    def call(self) -> ToolContext:
        """A call whose way to the internet leads here."""
        return ToolContext(new_id(), GuardedHttp([f"web.example:{self.port}"], resolve=lambda host, port: ["127.0.0.1"]))

    def url(self, path: str) -> str:
        return f"http://web.example:{self.port}{path}"

    def put(self, path: str, body: Any, kind: str = "application/json", status: int = 200) -> str:
        self.pages[path] = (status, kind, body if isinstance(body, bytes) else json.dumps(body).encode())
        return self.url(path)


@pytest.fixture
def web() -> Iterator[Web]:
    found = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            status, kind, body = found.pages.get(self.path.partition("?")[0], (404, "text/plain", b"not here"))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()
