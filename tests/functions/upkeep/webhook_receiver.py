"""A receiver of web hooks on loopback, which records each request and answers as told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from functions.toolrunner.execution import post_event
from functions.toolrunner.requests import PostEventRequest, parse_request
from parley.tools.guarded_http.client import GuardedHttp
from tests.fakes.http_server import serving


@dataclass
class Receiver:
    """The receiver's address, its answer, and the (path, headers, body) of each request."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    @property
    def host(self) -> str:
        """The receiver's `name:port`."""
        return self.url.removeprefix("http://")


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Run a receiver until the end of the block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            receiver.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None: ...

    with serving(Handler) as receiver.url:
        yield receiver


def runner_that_reaches(*hosts: str) -> Any:
    """Return `Invoker.ask` as the tool runner serves it, with these hosts besides public addresses."""

    def ask(request: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
        parsed = parse_request(request)
        assert isinstance(parsed, PostEventRequest)
        return post_event(parsed, GuardedHttp(hosts))

    return ask
