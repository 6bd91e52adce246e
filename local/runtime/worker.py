"""One worker: a process that runs one function, one invocation at a time."""

import asyncio
import time
from collections.abc import Mapping
from typing import Literal, Protocol

from local import children
from local.runtime import environment
from local.runtime.api import RuntimeApi
from local.runtime.code import Code
from local.runtime.invocation import Invocation
from local.runtime.lines import lines
from local.runtime.memory import peak_mb
from local.runtime.outcome import Failure
from local.template.pseudo import function_arn
from local.template.stack import Function

_INIT_LIMIT_S = 10.0
_PIPE_S = 0.5


class Owner(Protocol):
    """The pool that a worker belongs to."""

    async def next_for(self, worker: "Worker") -> Invocation: ...

    def finished(self, worker: "Worker", invocation: Invocation) -> None: ...

    def init_failed(self, worker: "Worker", failure: Failure) -> None: ...

    def withdraw(self, worker: "Worker") -> None: ...

    def gone(self, worker: "Worker") -> None: ...

    def output(self, text: str) -> None: ...


class Worker:
    """A process of `python -m awslambdaric`; its owner gives it invocations when it asks for them."""

    def __init__(self, function: Function, code: Code, owner: Owner) -> None:
        self.function_arn = function_arn(function.name)
        self.timeout_s = function.timeout_s
        self.state: Literal["starting", "idle", "busy", "finishing"] = "starting"
        self._function = function
        self._code = code
        self._owner = owner
        self._api = RuntimeApi(self)
        self._process: children.Child | None = None
        self._invocation: Invocation | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._init_failure: Failure | None = None
        self._is_stopped = False

    async def run(self, wiring: Mapping[str, str]) -> None:
        """Start the process and stay with it until it has ended."""
        address = await self._api.open()
        variables = environment.variables(self._function, self._code, runtime_api=address, wiring=wiring)
        command = (*self._code.command, self._function.handler)
        try:
            self._process = await children.start(*command, cwd=self._code.root, environment=variables)
            if self._is_stopped:
                self._process.kill()
            self._set_timer(_INIT_LIMIT_S + self.timeout_s)
            await self._stay(self._process)
        except OSError as error:
            self._owner.init_failed(self, Failure("Runtime.InvalidEntrypoint", f"the worker cannot be started: {error}"))
        finally:
            self._close()

    @property
    def peak_mb(self) -> float | None:
        return peak_mb(self._process.pid) if self._process else None

    def stop(self) -> None:
        """End the process now; what it was doing fails."""
        self._is_stopped = True
        if self._process:
            self._process.kill()

    async def next_invocation(self) -> Invocation:
        """Called by the runtime when it is ready for work."""
        self._clear_timer()
        self.state = "idle"
        invocation = await self._owner.next_for(self)
        self.state = "busy"
        self._invocation = invocation
        invocation.start()
        self._set_timer(self.timeout_s)
        return invocation

    def current(self, invocation_id: str) -> Invocation | None:
        """Return the invocation that runs here, if this is its id."""
        running = self._invocation
        return running if running and running.id == invocation_id and not running.is_over else None

    def answered(self, invocation: Invocation) -> None:
        """Called by the API when the runtime has given its whole answer; it will ask for more soon."""
        self._clear_timer()
        self.state = "finishing"
        self._owner.finished(self, invocation)

    def deadline_ms(self) -> int:
        return int((time.time() + self.timeout_s) * 1000)

    def init_failed(self, failure: Failure) -> None:
        self._init_failure = failure

    def _ended(self, status: int) -> None:
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

    def _set_timer(self, delay_s: float) -> None:
        self._clear_timer()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._time_out)

    def _clear_timer(self) -> None:
        if self._timer:
            self._timer.cancel()

    async def _stay(self, process: children.Child) -> None:
        """Wait for the end, then say what it meant for whoever was waiting."""
        reader = asyncio.create_task(self._read_output(process))
        status = await process.wait()
        self._owner.withdraw(self)
        process.kill()
        # A process that left the session may still hold the pipe.
        await asyncio.wait([reader], timeout=_PIPE_S)
        reader.cancel()
        process.close()
        self._ended(status)

    async def _read_output(self, process: children.Child) -> None:
        async for line in lines(process.output):
            self._owner.output(line)

    def _close(self) -> None:
        self._clear_timer()
        self._api.close()
        self._owner.gone(self)


def _exit_message(status: int) -> str:
    if status < 0:
        return f"Runtime exited with error: signal {-status}"
    return f"Runtime exited with error: exit status {status}" if status else "Runtime exited without providing a reason"
