"""Calls of other functions, and Lambda's connections, which end while a worker is frozen."""

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.aws.functions import MAX_IDLE_S, InvocationFailed, function_client, invoke_function

ANSWER = b'{"ok": true}'


class ForgetfulServer(socketserver.ThreadingTCPServer):
    """Lambda's endpoint behind a NAT gateway: it keeps connections open, but resets one that was idle before its next request.

    https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
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
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER))

    def _read_request(self) -> bool:
        length, line = 0, self.rfile.readline()
        while line.strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
            line = self.rfile.readline()
        return bool(self.rfile.read(length))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForgetfulServer]:
    with ForgetfulServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
        yield server
        server.shutdown()


def test_a_call_after_a_pause_does_not_use_a_connection_that_has_ended_meanwhile(server):
    times_s = iter([0.0, 0.0, MAX_IDLE_S + 1])
    client = function_client(read_timeout_s=5, max_connections=2, now_s=lambda: next(times_s))
    invoke_function(client, "toolrunner", {"op": "list"})
    server.has_forgotten = True

    assert invoke_function(client, "toolrunner", {"op": "list"}) == {"ok": True}


def test_calls_in_quick_succession_share_a_connection(server):
    times_s = iter([0.0, 0.0, MAX_IDLE_S])
    client = function_client(read_timeout_s=5, max_connections=2, now_s=lambda: next(times_s))
    for _ in range(2):
        invoke_function(client, "toolrunner", {"op": "list"})

    assert server.connections == 1


def test_parallel_calls_after_a_pause_all_succeed(server):
    now_s = [0.0]
    client = function_client(read_timeout_s=5, max_connections=8, now_s=lambda: now_s[0])
    with ThreadPoolExecutor(8) as threads:
        for round in range(1, 4):
            results = list(threads.map(lambda _: invoke_function(client, "toolrunner", {"op": "list"}), range(8)))
            assert results == [{"ok": True}] * 8
            now_s[0] = round * 100.0


def test_a_call_whose_connection_breaks_is_not_repeated(server):
    client = function_client(read_timeout_s=5, max_connections=2, now_s=lambda: 0.0)
    invoke_function(client, "toolrunner", {"op": "list"})
    server.has_forgotten = True

    with pytest.raises(InvocationFailed) as failure:
        invoke_function(client, "toolrunner", {"op": "run"})

    assert failure.value.kind == "ConnectionClosedError"
    assert server.connections == 1
