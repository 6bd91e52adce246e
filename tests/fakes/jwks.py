"""A small HTTP server for public keys, standing in for the auth function's JWKS route."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class JwksServer:
    """The served content: `document` returns a JSON value, raw bytes, or None for an error. `fetched` counts requests."""

    document: Callable[[], Any]
    url: str = ""
    fetched: int = 0


@contextmanager
def serving_jwks(document: Callable[[], Any]) -> Iterator[JwksServer]:
    """Serve the document until the end of the block."""
    served = JwksServer(document)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.fetched += 1
            document = served.document()
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(503 if document is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/.well-known/jwks.json"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
