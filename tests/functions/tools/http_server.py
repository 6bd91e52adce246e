"""Serve a function over real HTTP on loopback, for clients that speak only HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from tests.support.api_gateway import Function, Person


@contextmanager
def serving_function(function: Function, caller: Person) -> Iterator[str]:
    """Serve a function as if the gateway had authorized every request as `caller`. Yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            found = function.call(self.command, self.path, body or None, as_=caller, headers=dict(self.headers))
            self.send_response(found.status)
            for name, value in found.headers.items():
                if name != "content-length":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - http.server looks for these names

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
