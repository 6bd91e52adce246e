"""Port forwarding: lets containers reach services that listen on loopback only."""

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Self

_CHUNK_BYTES = 65_536
_DOCKER_DESKTOP_HOST = "host.docker.internal"


@dataclass(frozen=True)
class ForwardedPorts:
    """The addresses of this machine's services for containers: a host, and a port on it for each loopback port."""

    host: str
    ports: Mapping[int, int]

    @classmethod
    @asynccontextmanager
    async def opened(cls, host: str, ports: list[int]) -> AsyncIterator[Self]:
        """Until the end of the block, forward ports on `host`, another address of this machine, to loopback ports.

        If the engine runs in a virtual machine, as Docker Desktop does, `host` is not an address of this machine, and
        containers reach loopback by a special host name.
        https://docs.docker.com/desktop/features/networking/
        """
        async with AsyncExitStack() as stack:
            name = host
            try:
                opened = {port: await stack.enter_async_context(forward_port(host, port)) for port in ports}
            except OSError:
                name = _DOCKER_DESKTOP_HOST
                opened = {port: await stack.enter_async_context(forward_port("127.0.0.1", port, name=name)) for port in ports}
            yield cls(name, opened)


@asynccontextmanager
async def forward_port(host: str, to_port: int, *, name: str = "") -> AsyncIterator[int]:
    """Forward every connection on a free port of `host`, which clients call `name`, to a loopback port; yield the free port."""

    async def forward(reader: StreamReader, writer: StreamWriter) -> None:
        here, port = writer.get_extra_info("sockname")[:2]
        await _forward_connection(reader, writer, to_port, addressed=f"{name or here}:{port}")

    server = await asyncio.start_server(forward, host, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        server.abort_clients()
        await server.wait_closed()


async def _forward_connection(reader: StreamReader, writer: StreamWriter, to_port: int, *, addressed: str) -> None:
    # The servers reject a Host header that does not name them, but the client has signed the Host header that it sent.
    names = (f"Host: {addressed}\r\n".encode(), f"Host: 127.0.0.1:{to_port}\r\nX-Forwarded-Host: {addressed}\r\n".encode())
    # If either connection breaks, both are closed.
    with contextlib.suppress(OSError), contextlib.closing(writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", to_port)
        with contextlib.closing(there_writer):
            await asyncio.gather(_copy_stream(reader, there_writer, names), _copy_stream(there_reader, writer))


async def _copy_stream(reader: StreamReader, writer: StreamWriter, renamed: tuple[bytes, bytes] = (b"", b"")) -> None:
    old, new = renamed
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data.replace(old, new) if old else data)
            await writer.drain()
        writer.write_eof()
