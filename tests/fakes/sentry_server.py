"""A Sentry server on loopback, which parses envelopes: https://develop.sentry.dev/sdk/data-model/envelopes/."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class SentryServer:
    """Collects envelopes of the project of `dsn`."""

    dsn: str = ""
    envelopes: list[bytes] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of all envelopes."""
        return [event for envelope in self.envelopes for event in _events(envelope)]


def _events(envelope: bytes) -> Iterator[dict[str, Any]]:
    _, *rest = envelope.split(b"\n")
    for header, payload in zip(rest[::2], rest[1::2], strict=False):
        if header and json.loads(header).get("type") == "event":
            yield json.loads(payload)


@contextmanager
def running_sentry_server() -> Iterator[SentryServer]:
    """Run a server on a free port of loopback."""
    sentry = SentryServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sentry.envelopes.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    sentry.dsn = f"http://public-key@127.0.0.1:{server.server_port}/42"
    try:
        yield sentry
    finally:
        server.shutdown()
        server.server_close()
