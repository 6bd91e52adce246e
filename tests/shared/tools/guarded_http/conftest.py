"""Canaries: servers on loopback that a fetch must never reach unless the test allows it."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Canary:
    """A server that records the path and headers of each request."""

    port: int = 0
    hits: list[tuple[str, dict[str, str]]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    canary: Canary
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.canary.hits.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        kind, _, rest = self.path.lstrip("/").partition("/")
        with suppress(OSError):
            getattr(self, f"_{kind}", self._plain)(rest)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _plain(self, _: str) -> None:
        self._answer(200, b"tweet", Content_Type="text/plain")

    def _to(self, where: str) -> None:
        self._answer(302, b"", Location=where)

    def _hops(self, left: str) -> None:
        if left == "0":
            return self._plain("")
        return self._answer(302, b"", Location=f"/hops/{int(left) - 1}")

    def _large(self, size: str) -> None:
        self._answer(200, b"x" * int(size))

    def _endless(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 65536)

    def _bomb(self, size: str) -> None:
        self._answer(200, gzip.compress(b"\0" * int(size)), Content_Encoding="gzip")

    def _packed(self, encoding: str) -> None:
        self._answer(200, b"what is this", Content_Encoding=encoding)

    def _drips(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def running_canary() -> Iterator[Canary]:
    """Run a canary on 127.0.0.1."""
    canary = Canary()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"canary": canary}))
    server.daemon_threads, server.block_on_close = True, False
    canary.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield canary
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="package")
def shared_canary() -> Iterator[Canary]:
    with running_canary() as canary:
        yield canary


@pytest.fixture
def canary(shared_canary: Canary) -> Canary:
    """A canary without requests."""
    shared_canary.hits.clear()
    return shared_canary
