"""HTTP transports that apply the egress filter wherever a socket is opened, so no redirect or spelling can bypass it."""

import ssl
from collections.abc import Iterable
from functools import cache
from typing import Any

import httpcore2
import httpx2

from parley.tools.guarded_http.deadline import FetchDeadline
from parley.tools.guarded_http.egress_filter import EgressFilter

CONNECT_TIMEOUT_S = 5.0


class GuardedTransport(httpx2.HTTPTransport):
    """Connects to admitted addresses only, without a proxy. TLS certificates are verified against the host name."""

    def __init__(self, egress_filter: EgressFilter, deadline: FetchDeadline) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        # httpx2 has no parameter for the network backend. If this private name changes, every test of the filter fails.
        self._pool._network_backend = _GuardedBackend(self._pool._network_backend, egress_filter, deadline)


class AsyncGuardedTransport(httpx2.AsyncHTTPTransport):
    """The transport for asyncio; its caller limits the time."""

    def __init__(self, egress_filter: EgressFilter) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        self._pool._network_backend = _AsyncGuardedBackend(self._pool._network_backend, egress_filter)


@cache
def _tls() -> ssl.SSLContext:
    """Return the TLS settings that all connections share. Making them takes 20 ms, because it reads the system's certificates."""
    return httpx2.create_ssl_context(trust_env=False)


class _GuardedBackend(httpcore2.NetworkBackend):
    def __init__(self, inner: httpcore2.NetworkBackend, egress_filter: EgressFilter, deadline: FetchDeadline) -> None:
        self._inner, self._filter, self._deadline = inner, egress_filter, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline replaces it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        addresses = self._filter.admit(host, port, timeout_s=self._deadline.left_s(CONNECT_TIMEOUT_S))
        for address in addresses[:-1]:
            try:
                return self._connected(address, port, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return self._connected(addresses[-1], port, local_address, socket_options)

    def _connected(self, address: str, port: int, local_address: str | None, options: Iterable[Any] | None) -> httpcore2.NetworkStream:
        timeout_s = self._deadline.left_s(CONNECT_TIMEOUT_S)
        return _DeadlineStream(self._inner.connect_tcp(address, port, timeout_s, local_address, options), self._deadline)


class _DeadlineStream(httpcore2.NetworkStream):
    """A connection whose reads and writes time out at the deadline."""

    def __init__(self, inner: httpcore2.NetworkStream, deadline: FetchDeadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left_s(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left_s(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, self._deadline.left_s(timeout)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _AsyncGuardedBackend(httpcore2.AsyncNetworkBackend):
    def __init__(self, inner: httpcore2.AsyncNetworkBackend, egress_filter: EgressFilter) -> None:
        self._inner, self._filter = inner, egress_filter

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        import anyio.to_thread

        addresses = await anyio.to_thread.run_sync(lambda: self._filter.admit(host, port, timeout_s=timeout or CONNECT_TIMEOUT_S))
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
