"""A fake of Parley's API on loopback with scripted replies per route."""

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.cli import replies


@dataclass(frozen=True)
class Request:
    """A request of the client."""

    method: str
    path: str
    token: str
    body: dict
    key: str = ""

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


def parse_form(content_type: str, body: bytes) -> dict:
    """Return a form's fields in order. A file is a tuple of name, type and bytes."""
    form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=HTTP)
    parts = [(part.get_param("name", header="content-disposition"), part) for part in form.iter_parts()]
    return {
        name: (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        if part.get_filename()
        else part.get_payload(decode=True).decode()
        for name, part in parts
    }


class FakeApi(ThreadingHTTPServer):
    """Answers each route with its next scripted reply, and repeats the last reply."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[Request] = []
        self.failures: list[BaseException | None] = []
        self._answers: dict[str, list[Callable]] = {}
        self._lock = threading.Lock()

    def on(self, route: str, *answers: Callable) -> None:
        self._answers[route] = list(answers)

    def take(self, request: Request) -> Callable:
        with self._lock:
            self.requests.append(request)
            answers = self._answers.get(request.line.partition("?")[0]) or [replies.problem(404, "not_found", f"No route {request.line}.")]
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def handle_error(self, *_: object) -> None:
        """Ignore clients that disconnect; the fixture fails the test for any other error."""
        if not isinstance(sys.exception(), ConnectionError):
            self.failures.append(sys.exception())

    @property
    def lines(self) -> list[str]:
        return [request.line for request in self.requests]


class Handler(BaseHTTPRequestHandler):
    """Reads a complete request and lets its scripted reply write the response."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FakeApi

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        content_type = self.headers.get("Content-Type", "")
        parsed = parse_form(content_type, body) if content_type.startswith("multipart/") else json.loads(body or b"{}")
        self.server.take(Request(self.command, self.path, token, parsed, self.headers.get("Idempotency-Key", "")))(self)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 -- http.server's own spelling

    def log_message(self, *_: object) -> None:
        """Log nothing."""
