"""The HTTP client under the vendors' SDKs, whose blocked reads another thread can end.

Closing a socket does not wake a thread that reads from it, and the SDKs show theirs only once headers have arrived. So
the client's connections tell the current call's line of themselves whenever they are written to.
"""

import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import httpx2

from parley.llm.line import CONNECT_TIMEOUT_S, Line

_current = threading.local()


@contextmanager
def calling(line: Line) -> Iterator[None]:
    """Let `line` know the connection that this thread's next request takes."""
    _current.line = line
    try:
        yield
    finally:
        _current.line = None


@contextmanager
def opened(line: Line, call: Any) -> Iterator[httpx2.Response]:
    """Send an SDK's streaming call and yield its raw response; `line` has the connection meanwhile."""
    try:
        with calling(line):
            response: httpx2.Response = call.__enter__().http_response
        line.is_answered = True
    except BaseException:
        line.release()
        raise
    try:
        yield response
    finally:
        line.release()  # before the connection goes back to where another call may take it
        response.close()


def make_client(base_url: str, *, timeout_s: float) -> httpx2.Client:
    """Return a client for one vendor; it follows no redirect, for a key stays where it was sent to.

    A proxy is taken from the environment, as usual.
    """
    return httpx2.Client(transport=_Transport(proxy=_proxy_for(base_url)), timeout=patience(timeout_s))


def patience(timeout_s: float) -> httpx2.Timeout:
    """Return the limits of one call: `timeout_s` for each silence, not for the whole answer.

    The SDKs must be told, too: they take a client's own limits for unset where those equal the default.
    """
    return httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))


def _proxy_for(base_url: str) -> str | None:
    parts = urlsplit(base_url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


class _Transport(httpx2.HTTPTransport):
    def __init__(self, *, proxy: str | None) -> None:
        super().__init__(proxy=proxy)
        # httpx2 has no parameter for what httpcore2 offers; the tests of `close` fail should this name change.
        self._pool._network_backend = _Backend(self._pool._network_backend)


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, inner: httpcore2.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        line: Line | None = getattr(_current, "line", None)
        if line:
            line.use(self._shut_down)
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _shut_down(self) -> None:
        with suppress(OSError):
            # Not SSLSocket's own, which takes the TLS state away from under the reading thread.
            socket.socket.shutdown(self._inner.get_extra_info("socket"), socket.SHUT_RDWR)
