"""The HTTP server on the public port."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

HOST = "127.0.0.1"


class PortTaken(Exception):
    """The port cannot be had: something else listens there, or this user may not."""

    def __init__(self, port: int, error: OSError) -> None:
        reason = "is taken; stop what listens there" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        super().__init__(f"port {port} {reason} or choose another with --port")


def listen(port: int) -> socket.socket:
    """Return a socket that holds the port, so that nobody takes it during the start; raises `PortTaken`."""
    # With the protocol named, asyncio sets TCP_NODELAY on each connection; without it every answer takes 40 ms more.
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen(1024)
    except OSError as error:
        found.close()
        raise PortTaken(port, error) from error
    return found


class Server:
    """Serves one ASGI app until it is stopped; running requests get a moment to end."""

    def __init__(self, app: Any, *, patience_s: int = 1) -> None:
        # A broken-off stream ends without its last chunk on purpose; uvicorn would log each as an error.
        logging.getLogger("uvicorn.error").disabled = True
        config = uvicorn.Config(
            app,
            interface="asgi3",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # Who asks is the peer, whatever X-Forwarded-For says: nothing stands in front of this server.
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=patience_s,
        )
        self._server = _ServerWithoutSignals(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self, listening: socket.socket) -> None:
        """Serve on the socket, and return when that has begun."""
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]))
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task:
            await self._task


class _ServerWithoutSignals(uvicorn.Server):
    """A server that leaves signals to the emulator."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
