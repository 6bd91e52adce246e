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
    """The port is in use, or this user may not bind it."""

    def __init__(self, port: int, error: OSError) -> None:
        reason = "is already in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        super().__init__(f"port {port} {reason}. Choose another port with --port.")


def listen(port: int, host: str = HOST) -> socket.socket:
    """Return a listening socket, which reserves the port while the stack starts. Raises `PortTaken`."""
    # asyncio sets TCP_NODELAY only if the socket's protocol is explicit; without it each response takes 40 ms longer.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise PortTaken(port, error) from error
    return listening


class HttpServer:
    """Serves an ASGI app until stopped; running requests then have `grace_period_s` to finish."""

    def __init__(self, app: Any, *, grace_period_s: int = 1) -> None:
        # The gateway deliberately ends an interrupted stream without its last chunk; uvicorn would log that as an error.
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
            # There is no proxy, so X-Forwarded-For must not change the client's address.
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=grace_period_s,
        )
        self._server = _ServerWithoutSignals(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self, listening: socket.socket) -> None:
        """Serve on the socket in the background; return once the server accepts requests."""
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
