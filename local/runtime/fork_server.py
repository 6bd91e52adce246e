"""The emulator's side of a fork server: a process that has imported a function and forks its workers (`fork_server_main.py`).

A further worker then costs a few milliseconds instead of the function's imports. A failed import is reported by AWS's runtime,
as in a worker. Functions that cannot be forked safely, and systems other than Linux, get workers that import for themselves.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from local import processes
from local.processes import ChildProcess
from local.runtime.launch import LaunchSpec
from local.template.stack import Function

_MESSAGE_BYTES = 65_536
_PIPE_S = 0.5
# Until a worker has finished an invocation, further workers are forked only after none has imported anything for so long.
_FIRST_QUIET_S = 0.2
# Workers get their own values of these variables when they are forked.
_OWN_VARIABLES = ("AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_LOG_STREAM_NAME")


class ForkedWorker:
    """A worker and its output. It has the interface of `ChildProcess`, but its parent is the fork server."""

    def __init__(self, pid: int, output: asyncio.StreamReader, pipe: asyncio.ReadTransport) -> None:
        self.pid = pid
        self.output = output
        self._pipe = pipe
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def has_ended(self) -> bool:
        return self._status.done()

    async def wait(self) -> int:
        """Wait for the worker to end and return its status."""
        return await asyncio.shield(self._status)

    def kill(self) -> None:
        """Kill the worker and its whole process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Stop reading the output."""
        self._pipe.close()

    def end(self, status: int) -> None:
        """Record the status, which the fork server has reported."""
        if not self._status.done():
            self._status.set_result(status)


class ForkServer:
    """Starts the workers of one function. The process starts with the first worker, and again after it has ended."""

    def __init__(self, function: Function, spec: LaunchSpec, *, output: Callable[[str], None], starts: asyncio.Semaphore) -> None:
        self._function = function
        self._spec = spec
        self._output = output
        self._starts = starts
        self._lock = asyncio.Lock()
        self._process: ChildProcess | None = None
        self._control: socket.socket | None = None
        self._ready: asyncio.Future[bool] | None = None
        self._forks: deque[asyncio.Future[int]] = deque()
        self._quiet_s = _FIRST_QUIET_S
        self._workers: dict[int, ForkedWorker] = {}
        self._ended_early: dict[int, int] = {}
        self._watch: asyncio.Task[None] | None = None
        self.is_usable = sys.platform == "linux" and bool(spec.fork_command)

    @property
    def is_running(self) -> bool:
        return self._process is not None and not self._process.has_ended

    async def start_worker(self, variables: Mapping[str, str]) -> ForkedWorker | ChildProcess | None:
        """Return a new worker; or the ended server, if the import failed; or None if the function cannot be forked.

        Raises `OSError` if the server cannot be started.
        """
        async with self._lock:
            if self._control is None and not await self._launch(variables):
                return self._process
        if not self.is_usable:
            return None
        return await self._fork({name: variables[name] for name in _OWN_VARIABLES})

    def note_finished(self) -> None:
        """Record that a worker has finished an invocation, so the server knows most of what workers import later."""
        self._quiet_s = 0.0

    def abort(self) -> None:
        """Kill the server if it is still importing the function."""
        if self._process and self._ready and not self._ready.done():
            self._process.kill()

    def retire(self) -> None:
        """Fork no further workers. The server ends with its last worker."""
        self.abort()
        self.is_usable = False
        if self._control:
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_WR)

    async def stop(self) -> None:
        """Kill the server, and with it all its workers."""
        if self._process and not self._process.has_ended:
            self._process.kill()
        if self._watch:
            await self._watch

    async def _launch(self, variables: Mapping[str, str]) -> bool:
        """Start the server and wait until it has imported the function. Returns False if it has ended before that."""
        async with self._starts:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setblocking(False)
            try:
                self._process = await processes.start_process(
                    *self._spec.fork_command,
                    self._function.handler,
                    cwd=self._spec.root,
                    environment=variables,
                    stdin=theirs.fileno(),
                    niceness=self._function.niceness,
                )
            except OSError:
                ours.close()
                raise
            finally:
                theirs.close()
            loop = asyncio.get_running_loop()
            self._control, self._ready = ours, loop.create_future()
            loop.add_reader(ours.fileno(), self._receive, ours)
            self._watch = asyncio.create_task(self._supervise(self._process, self._ready))
            return await self._ready

    async def _fork(self, environment: dict[str, str]) -> ForkedWorker:
        reading, writing = os.pipe()
        output, pipe = await processes.pipe_reader(reading)
        forked: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        try:
            if self._control is None:
                raise ConnectionError("the fork server has ended")
            self._forks.append(forked)
            socket.send_fds(self._control, [json.dumps({"environment": environment, "quiet_s": self._quiet_s}).encode()], [writing])
        except OSError:
            pipe.close()
            raise
        finally:
            os.close(writing)
        try:
            pid = await forked
        except ConnectionError:
            pipe.close()
            raise
        worker = ForkedWorker(pid, output, pipe)
        if (status := self._ended_early.pop(pid, None)) is not None:
            worker.end(status)
        else:
            self._workers[pid] = worker
        return worker

    def _receive(self, control: socket.socket) -> None:
        try:
            data = control.recv(_MESSAGE_BYTES)
        except OSError:
            data = b""
        if data:
            self._note(json.loads(data))
        else:
            # The server has ended; `_supervise` reports its workers.
            asyncio.get_running_loop().remove_reader(control.fileno())

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("obstacle"):
            self.is_usable = False
        if "ready" in message and self._ready and not self._ready.done():
            self._ready.set_result(True)
        elif "forked" in message:
            self._forks.popleft().set_result(message["forked"])
        elif "ended" in message:
            if worker := self._workers.pop(message["ended"], None):
                worker.end(message["status"])
            else:
                self._ended_early[message["ended"]] = message["status"]

    async def _supervise(self, process: ChildProcess, ready: asyncio.Future[bool]) -> None:
        """Log the server's output until it ends. Its workers end with it: the kernel kills them."""
        reader = asyncio.create_task(self._log_output(process))
        await process.wait()
        process.kill()
        await asyncio.wait([reader], timeout=_PIPE_S)
        reader.cancel()
        process.close()
        self._disconnect()
        if not ready.done():
            ready.set_result(False)
        while self._forks:
            self._forks.popleft().set_exception(ConnectionError("the fork server has ended"))
        for worker in self._workers.values():
            worker.end(-signal.SIGKILL)
        self._workers.clear()

    async def _log_output(self, process: ChildProcess) -> None:
        async for line in processes.read_lines(process.output):
            self._output(line)

    def _disconnect(self) -> None:
        control, self._control = self._control, None
        if control:
            asyncio.get_running_loop().remove_reader(control.fileno())
            control.close()
