"""A supervised child process: started, watched until ready, and restarted whenever it ends by itself."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from local.processes import ChildProcess

_RESTART_DELAY_S = 0.5
_TAIL_BYTES = 2_000


class ServiceFailed(Exception):
    """A service did not start or refused a call. The message ends with the service's own output, if there is any."""


class SupervisedProcess:
    """Keeps one process running: `launch` starts it, `ready` reports whether it serves, `stop_signal` ends it."""

    def __init__(
        self,
        name: str,
        *,
        launch: Callable[[], Awaitable[ChildProcess]],
        ready: Callable[[ChildProcess], Awaitable[bool]],
        log: Path,
        report: Callable[[str], None],
        stop_signal: int = signal.SIGTERM,
    ) -> None:
        self._name = name
        self._launch = launch
        self._ready = ready
        self._log = log
        self._report = report
        self._stop_signal = stop_signal
        self._process: ChildProcess | None = None
        self._restarter: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self.restarts = 0

    async def start(self, *, limit_s: float = 30) -> None:
        """Start the process and wait until it serves. Raises `ServiceFailed` if it ends first or takes longer than `limit_s`."""
        self._log.write_bytes(b"")
        await self._start(limit_s)
        self._restarter = asyncio.create_task(self._restart_when_ended())

    async def stop(self) -> None:
        """Stop the process; kill it if it ignores the signal."""
        if self._restarter:
            self._restarter.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._restarter
        if self._process:
            await self._process.stop(self._stop_signal)

    def status(self) -> dict[str, Any]:
        running = self._process is not None and not self._process.has_ended
        return {"running": running, "pid": self._process.pid if self._process else None, "restarts": self.restarts}

    async def _start(self, limit_s: float) -> None:
        self._process = process = await self._launch()
        self._reader = asyncio.create_task(self._log_output(process))
        try:
            async with asyncio.timeout(limit_s):
                while not process.has_ended and not await self._ready(process):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            await process.stop()
        if process.has_ended:
            # Read the last output. The limit is needed because a surviving descendant may keep the pipe open.
            await asyncio.wait([self._reader], timeout=1)
            raise ServiceFailed(f"{self._name} did not start:\n{self._tail()}")

    async def _restart_when_ended(self) -> None:
        while self._process:
            status = await self._process.wait()
            self.restarts += 1
            self._report(f"{self._name} ended (status {status}); restarting")
            with contextlib.suppress(ServiceFailed):
                await self._start(30)
                continue
            await asyncio.sleep(_RESTART_DELAY_S)

    async def _log_output(self, process: ChildProcess) -> None:
        with self._log.open("ab", buffering=0) as file:
            while data := await process.output.read(65_536):
                # On a full disk the output is lost. It is still read, because the process would wait for room in the pipe.
                with contextlib.suppress(OSError):
                    file.write(data)

    def _tail(self) -> str:
        return self._log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip()


async def accepts_connections(port: int) -> bool:
    """Return whether something accepts connections on a loopback port."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
