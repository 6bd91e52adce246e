"""A fake model vendor on loopback. It plays a test's script and records the requests.

The scripts here answer in OpenAI's Chat Completions format; other vendors' formats are in `wire_formats/`.
"""

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

type Script = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Vendor:
    """A running fake vendor. `script` answers the next requests; `requests` are (headers, body) pairs in order."""

    url: str
    script: Script
    requests: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    callers: ExitStack = field(default_factory=ExitStack)

    def closing[Caller](self, caller: Caller) -> Caller:
        """Close the caller's connections when the vendor stops, and return the caller."""
        self.callers.callback(caller.close)  # type: ignore[attr-defined]
        return caller

    @property
    def root(self) -> str:
        """The address without `/v1`, for SDKs that append it."""
        return self.url.removesuffix("/v1")

    @property
    def last_body(self) -> dict[str, Any]:
        """The body of the latest request."""
        return self.requests[-1][1]


def chunk(text: str | None = None, *, finish: str | None = None, usage: dict[str, Any] | None = None) -> bytes:
    """Return one event of a streamed completion."""
    choices = [] if usage else [{"index": 0, "delta": {"content": text} if text is not None else {}, "finish_reason": finish}]
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "vendor-model", "choices": choices, "usage": usage}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 4}}


def streams(
    *texts: str, finish: str | None = "stop", before: Callable[[int], None] | None = None, end: bytes = b"data: [DONE]\n\n"
) -> Script:
    """Stream the texts, calling `before(index)` before each. With `finish=None`, the stream ends without its final events."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        for index, text in enumerate(texts):
            if before:
                before(index)
            handler.wfile.write(chunk(text))
            handler.wfile.flush()
        if finish:
            handler.wfile.write(chunk(finish=finish) + chunk(usage=USAGE) + end)

    return answer


def keeps_alive(*texts: str) -> Script:
    """Stream the texts in chunked encoding and keep the connection open, as vendors do."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = False
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for data in [*map(chunk, texts), chunk(finish="stop"), b"data: [DONE]\n\n", b""]:
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    return answer


def refuses(status: int, *, message: str = "no", headers: dict[str, str] | None = None, document: Any = None) -> Script:
    """Answer with an error status and a JSON body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = json.dumps(document or {"error": {"message": message, "type": "error"}}).encode()
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body)), "Content-Type": "application/json"} | (headers or {})).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def says(raw: bytes) -> Script:
    """Answer 200 with raw bytes as an event stream."""
    return sends([raw])


def sends(
    pieces: Sequence[bytes],
    *,
    content_type: str = "text/event-stream",
    before: Callable[[int], None] | None = None,
    is_chunked: bool = False,
) -> Script:
    """Answer 200 with raw pieces, calling `before(index)` before each, and close the connection."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", content_type)
        if is_chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for index, piece in enumerate(pieces):
            if before:
                before(index)
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked and piece else piece)
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n" if is_chunked else b"")

    return answer


def replies(document: Any, *, headers: dict[str, str] | None = None) -> Script:
    """Answer 200 with a JSON document."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = json.dumps(document).encode()
        handler.send_response(200)
        for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(body))} | (headers or {})).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def resets(handler: BaseHTTPRequestHandler) -> None:
    """Reset the connection without an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


@contextmanager
def running_vendor(script: Script | None = None, *, certificate: Path | None = None) -> Iterator[Vendor]:
    """Run a fake vendor until the end of the block. With `certificate`, it serves TLS on `localhost`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            vendor.requests.append((headers | {"x-peer-port": str(self.client_address[1]), "x-path": self.path}, body))
            self.close_connection = True  # unless the script says otherwise
            self.request_body = body
            vendor.script(self)

        def end_headers(self) -> None:
            # Without this header the client keeps the connection, and may send its next request while the server closes it.
            if self.close_connection:
                self.send_header("Connection", "close")
            super().end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Ignore errors: many tests close the connection early."""

    server = Server(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}/v1"
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = f"https://localhost:{server.server_port}/v1"
    vendor = Vendor(url, script or streams("Hel", "lo"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield vendor
    finally:
        vendor.callers.close()
        server.shutdown()
        server.server_close()
        thread.join()
