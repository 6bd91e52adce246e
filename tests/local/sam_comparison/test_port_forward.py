"""Port forwarding from another address to loopback."""

import asyncio
import contextlib
import socket

from local.ports import free_port
from local.sam_comparison.port_forward import ForwardedPorts, forward_port


async def served(handle):
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def shout(reader, writer):
    """Answer only after the end of the client's input, so that a lost end of input hangs."""
    writer.write((await reader.read()).upper())
    await writer.drain()
    writer.close()


async def ask(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello " * 50_000)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def test_a_connection_is_passed_on_both_ways_to_its_end():
    async def main():
        server, port = await served(shout)
        async with server, forward_port("127.0.0.1", port) as there:
            return await ask(there)

    assert asyncio.run(main()) == b"HELLO " * 50_000


def test_a_request_calls_the_service_by_its_name_on_loopback():
    async def main():
        async def repeat(reader, writer):
            writer.write(await reader.read())
            writer.close()

        server, port = await served(repeat)
        async with server, forward_port("127.0.0.1", port) as there:
            reader, writer = await asyncio.open_connection("127.0.0.1", there)
            writer.write(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{there}\r\n\r\n".encode())
            writer.write_eof()
            with contextlib.closing(writer):
                return port, await reader.read()

    port, answer = asyncio.run(main())

    assert answer.startswith(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Forwarded-Host: 127.0.0.1:".encode())


async def ends(port, *, when=contextlib.nullcontext):
    """Return whether a connection closes or is reset after the block of `when` ends."""
    async with when():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer), contextlib.suppress(ConnectionResetError):
        return await asyncio.wait_for(reader.read(), 5) == b""
    return True


def test_a_service_that_is_not_there_ends_the_connection():
    async def main():
        async with forward_port("127.0.0.1", free_port()) as there:
            return await ends(there)

    assert asyncio.run(main())


def test_nothing_listens_after_the_end_even_if_a_connection_was_open():
    async def main():
        server, port = await served(shout)
        async with server, contextlib.AsyncExitStack() as relaying:
            there = await relaying.enter_async_context(forward_port("127.0.0.1", port))
            return await ends(there, when=relaying.pop_all), there

    is_over, there = asyncio.run(main())

    assert is_over
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", there)) != 0


def test_each_port_gets_a_door():
    async def main():
        async with ForwardedPorts.opened("127.0.0.1", [7001, 7002]) as forwarded:
            return forwarded

    forwarded = asyncio.run(main())

    assert forwarded.host == "127.0.0.1"
    assert list(forwarded.ports) == [7001, 7002]
    assert not {7001, 7002} & set(forwarded.ports.values())


def test_an_engine_in_its_own_machine_is_told_its_name_for_this_one():
    async def main():
        # An address of TEST-NET-1 (RFC 5737), which no machine has.
        async with ForwardedPorts.opened("192.0.2.1", [7001]) as forwarded:
            return forwarded

    forwarded = asyncio.run(main())

    assert forwarded.host == "host.docker.internal"
    assert forwarded.ports[7001] != 7001
