"""A small HTTP server for public keys, standing in for the auth function's JWKS route."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.fakes.http_server import serving


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

    with serving(Handler) as url:
        served.url = f"{url}/.well-known/jwks.json"
        yield served
