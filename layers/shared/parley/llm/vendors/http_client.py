"""The HTTP client that the vendors' SDKs use. Another thread can cancel its blocked reads.

Closing a socket does not wake a thread that reads from it, and the SDKs expose their connection only once headers have
arrived. So a connection registers itself with the current call's cancel handle whenever it is written to.
"""

import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import httpx2

from parley.deadline import Alarm, AlarmClock
from parley.llm.provider import CONNECT_TIMEOUT_S, CancelHandle

# How long a server may take to end a response after its last event. Only a connection whose response has ended can be reused.
END_S = 0.5
_alarm_clock = AlarmClock()
_current = threading.local()


@contextmanager
def connection_of(handle: CancelHandle) -> Iterator[None]:
    """Attach the connection of this thread's next request to `handle`."""
    _current.handle = handle
    try:
        yield
    finally:
        _current.handle = None


@contextmanager
def opened_response(handle: CancelHandle, call: Any) -> Iterator[httpx2.Response]:
    """Send an SDK's streaming call and yield its raw response. `handle` can cancel it throughout."""
    try:
        with connection_of(handle):
            response: httpx2.Response = call.__enter__().http_response
        handle.is_answered = True
    except BaseException:
        handle.detach()
        raise
    try:
        yield response
    finally:
        handle.detach()  # before the connection returns to the pool, where another call may take it
        response.close()


@contextmanager
def ended_soon(response: httpx2.Response) -> Iterator[Callable[[float], None]]:
    """Yield a function that gives the server some seconds from now to end the response, whose content has arrived.

    Then the connection is broken. After a call of the function, errors of the connection are ignored.
    """
    handle, alarms = CancelHandle(), list[Alarm]()
    handle.attach(response.extensions["network_stream"].shut_down)

    def end_soon(seconds: float) -> None:
        for alarm in alarms:
            alarm.cancel()
        alarms[:] = [_alarm_clock.set(seconds, handle.cancel)]

    try:
        yield end_soon
    except httpx2.HTTPError:
        if not alarms:
            raise
    finally:
        handle.detach()  # before another call takes the connection
        for alarm in alarms:
            alarm.cancel()


def make_client(base_url: str, *, timeout_s: float) -> httpx2.Client:
    """Return a client for one vendor. It uses the environment's proxy.

    Redirects are not followed, so that the API key is never sent to another host.
    """
    proxy = _proxy_for(base_url)
    # Reading the certificates of the public authorities takes 20 ms. A server without TLS needs none of them.
    has_tls = "https" in (urlsplit(base_url).scheme, urlsplit(proxy or "").scheme)
    verify = True if has_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx2.Client(transport=_CancellableTransport(verify=verify, proxy=proxy), timeout=call_timeouts(timeout_s))


def call_timeouts(timeout_s: float) -> httpx2.Timeout:
    """Return the timeouts of one call: `timeout_s` limits each wait for data, not the whole response.

    Pass them to the SDKs too: an SDK considers a client's timeouts unset if they equal the default.
    """
    return httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))


def _proxy_for(base_url: str) -> str | None:
    parts = urlsplit(base_url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


class _CancellableTransport(httpx2.HTTPTransport):
    def __init__(self, *, verify: ssl.SSLContext | bool, proxy: str | None) -> None:
        super().__init__(verify=verify, proxy=proxy)
        # httpx2 has no parameter for the network backend. If this private name changes, the tests of `close` fail.
        self._pool._network_backend = _CancellableBackend(self._pool._network_backend)


class _CancellableBackend(httpcore2.NetworkBackend):
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
        return _CancellableStream(self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _CancellableStream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        handle: CancelHandle | None = getattr(_current, "handle", None)
        if handle:
            handle.attach(self.shut_down)
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _CancellableStream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def shut_down(self) -> None:
        """Wake a thread that reads from the connection."""
        with suppress(OSError):
            # Not `SSLSocket.shutdown`, which removes the TLS state that the reading thread is using.
            socket.socket.shutdown(self._inner.get_extra_info("socket"), socket.SHUT_RDWR)
