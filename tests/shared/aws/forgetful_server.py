"""A server of AWS behind a NAT gateway, which forgets connections that were idle."""

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ForgetfulServer(socketserver.ThreadingTCPServer):
    """Gives every request the same answer. After `has_forgotten` is set, it resets an open connection at its next request.

    https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html
    """

    daemon_threads = True

    def __init__(self, answer: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.answer = answer
        self.connections = 0
        self.has_forgotten = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Connection(socketserver.StreamRequestHandler):
    server: ForgetfulServer

    def handle(self) -> None:
        self.server.connections += 1
        is_first = True
        while self._read_request():
            if self.server.has_forgotten and not is_first:
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset instead of an end
                return
            is_first = False
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(self.server.answer), self.server.answer))

    def _read_request(self) -> bool:
        length, line = 0, self.rfile.readline()
        while line.strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
            line = self.rfile.readline()
        return bool(self.rfile.read(length))


@contextmanager
def serving_forgetfully(answer: bytes) -> Iterator[ForgetfulServer]:
    """Serve a JSON answer until the end of the block."""
    with ForgetfulServer(answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
