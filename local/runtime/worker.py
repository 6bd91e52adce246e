"""A worker: the process that runs a function's handler, with its Runtime API, time limits and output."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from local import processes
from local.runtime import launch
from local.runtime.api import RuntimeApi
from local.runtime.fork_server import ForkedWorker, ForkServer
from local.runtime.invocation import Invocation
from local.runtime.launch import LaunchSpec
from local.runtime.outcome import Failure
from local.template.pseudo import function_arn
from local.template.stack import Function

_INIT_LIMIT_S = 10.0
_PIPE_S = 0.5


class WorkerOwner(Protocol):
    """The pool that a worker belongs to."""

    async def next_for(self, worker: "Worker") -> Invocation: ...

    def finished(self, worker: "Worker", invocation: Invocation) -> None: ...

    def init_failed(self, worker: "Worker", failure: Failure) -> None: ...

    def dismiss(self, worker: "Worker") -> None: ...

    def gone(self, worker: "Worker") -> None: ...

    def output(self, text: str) -> None: ...


class Worker:
    """A process of AWS's runtime that asks its owner for one invocation at a time.

    `fork_server` starts the process if it can. Otherwise the process imports the function itself, and takes one of `starts`
    meanwhile.
    """

    def __init__(
        self, function: Function, spec: LaunchSpec, owner: WorkerOwner, *, fork_server: ForkServer, starts: asyncio.Semaphore
    ) -> None:
        self.function_arn = function_arn(function.name)
        self.timeout_s = function.timeout_s
        self.state: Literal["starting", "idle", "busy", "finishing"] = "starting"
        self._function = function
        self._spec = spec
        self._owner = owner
        self._fork_server = fork_server
        self._starts = starts
        self._is_importing = False
        self._api = RuntimeApi(self)
        self._process: processes.ChildProcess | ForkedWorker | None = None
        self._invocation: Invocation | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._init_failure: Failure | None = None
        self._is_stopped = False

    async def run(self, extra_environment: Mapping[str, str]) -> None:
        """Start the process and return when it has ended."""
        address = await self._api.open()
        variables = launch.worker_environment(self._function, self._spec, runtime_api=address, extra_environment=extra_environment)
        self._set_timer(_INIT_LIMIT_S + self.timeout_s)
        try:
            self._process = await self._start_process(variables)
            if self._is_stopped or (self._init_failure and not self._process.has_ended):
                self._process.kill()
            await self._supervise(self._process)
        except OSError as error:
            self._owner.init_failed(self, Failure("Runtime.InvalidEntrypoint", f"the worker cannot start: {error}"))
        finally:
            self._close()

    async def _start_process(self, variables: Mapping[str, str]) -> processes.ChildProcess | ForkedWorker:
        if self._fork_server.is_usable and (process := await self._fork_server.start_worker(variables)):
            return process
        await self._starts.acquire()
        self._is_importing = True
        return await processes.start_process(
            *self._spec.command,
            self._function.handler,
            cwd=self._spec.root,
            environment=variables,
            niceness=self._function.niceness,
        )

    @property
    def pid(self) -> int | None:
        """The process id, or None before the process has started."""
        return self._process.pid if self._process else None

    @property
    def peak_mb(self) -> float | None:
        return peak_memory_mb(self._process.pid) if self._process else None

    def stop(self) -> None:
        """Kill the process; its invocation fails."""
        self._is_stopped = True
        if self._process:
            self._process.kill()

    async def next_invocation(self) -> Invocation:
        """Wait for the next invocation; the Runtime API calls this when the runtime is ready for work."""
        self._clear_timer()
        self._end_import()
        self.state = "idle"
        invocation = await self._owner.next_for(self)
        self.state = "busy"
        self._invocation = invocation
        invocation.start()
        self._set_timer(self.timeout_s)
        return invocation

    def current(self, invocation_id: str) -> Invocation | None:
        """Return the running invocation if it has this id."""
        running = self._invocation
        return running if running and running.id == invocation_id and not running.is_over else None

    def answered(self, invocation: Invocation) -> None:
        """Record that the runtime has sent its whole response and will soon ask for more work."""
        self._clear_timer()
        self.state = "finishing"
        self._owner.finished(self, invocation)

    def deadline_ms(self) -> int:
        return int((time.time() + self.timeout_s) * 1000)

    def init_failed(self, failure: Failure) -> None:
        self._init_failure = failure

    def _handle_exit(self, status: int) -> None:
        failure = self._init_failure or Failure("Runtime.ExitError", _exit_message(status))
        if self.state == "starting" and not self._is_stopped:
            self._owner.init_failed(self, failure)
        if self._invocation and not self._invocation.is_over:
            self._invocation.fail(failure)
            self._owner.finished(self, self._invocation)

    def _time_out(self) -> None:
        failure = Failure("Sandbox.Timedout", f"Task timed out after {self.timeout_s:.2f} seconds")
        self._owner.output(failure.message)
        if self.state == "starting":
            self._init_failure = failure
        elif self._invocation:
            self._invocation.fail(failure)
            self._owner.finished(self, self._invocation)
        if self._process:
            self._process.kill()
        else:
            self._fork_server.abort()

    def _end_import(self) -> None:
        if self._is_importing:
            self._is_importing = False
            self._starts.release()

    def _set_timer(self, delay_s: float) -> None:
        self._clear_timer()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._time_out)

    def _clear_timer(self) -> None:
        if self._timer:
            self._timer.cancel()

    async def _supervise(self, process: processes.ChildProcess | ForkedWorker) -> None:
        """Wait for the process to end, then fail its start or its invocation."""
        reader = asyncio.create_task(self._read_output(process))
        status = await process.wait()
        self._owner.dismiss(self)
        process.kill()
        # A descendant that left the session may keep the pipe open.
        await asyncio.wait([reader], timeout=_PIPE_S)
        reader.cancel()
        process.close()
        if self._invocation and not self._invocation.is_over:
            # The beginning of a response may still be unread.
            await self._api.drain(_PIPE_S)
        self._handle_exit(status)

    async def _read_output(self, process: processes.ChildProcess | ForkedWorker) -> None:
        async for line in processes.read_lines(process.output):
            self._owner.output(line)

    def _close(self) -> None:
        self._clear_timer()
        self._end_import()
        self._api.close()
        self._owner.gone(self)


def _exit_message(status: int) -> str:
    if status < 0:
        return f"Runtime exited with error: signal {-status}"
    return f"Runtime exited with error: exit status {status}" if status else "Runtime exited without providing a reason"


def peak_memory_mb(pid: int) -> float | None:
    """Return the peak resident size in MB, or None if the process has ended or the system is not Linux."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return round(int(line.split()[1]) / 1024, 1) if line else None
