"""Import one function, then fork a worker for each request of the emulator: `fork_server_main.py PATHS HANDLER`.

Linux only, and not part of a deployment. AWS's runtime runs unmodified: it imports the handler in this process, and workers
differ only from their first request for an invocation on. Until then this process has one thread and no connection.

Standard input is a socket to the emulator. Each of its messages asks for a worker: JSON with the worker's environment
variables and `quiet_s` (see `ForkServer._is_due`), and the pipe for the worker's output. The answers are JSON:
`{"ready": true}` once the function is imported,
`{"forked": pid}` for each worker in order, `{"ended": pid, "status": status}` when a worker has ended, and
`{"obstacle": reason}` once this process can no longer be forked safely.

A worker reports what it imports later, such as a vendor's SDK, and this process then imports the same for the next workers.
After the first fork it also runs the function's hooks for SnapStart (`register_before_snapshot`), which prepare a process for
being copied: they may load what every worker needs.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

_PR_SET_PDEATHSIG = 1
_MESSAGE_BYTES = 65_536
_THREAD_S = 5.0
_LONGEST_HOLD_S = 10.0
_POLL_S = 0.02
# Open files that two processes cannot use independently: connections, and the selectors of event loops.
_SHARED = ("socket:", "anon_inode:")
_RUNTIME_CLIENT = "runtime_client"


class ImportReport:
    """A finder that finds nothing: it writes the name of each module that is imported to a pipe."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG002
        if name == _RUNTIME_CLIENT:
            return
        # A full pipe loses names; the next workers then import these modules themselves.
        with contextlib.suppress(OSError):
            os.write(self._pipe, f"{name}\n".encode())


@dataclass(frozen=True)
class ForkRequest:
    """A request for a worker: its environment variables, the pipe for its output, and when the request arrived."""

    environment: dict[str, str]
    quiet_s: float
    output: int
    at: float


class ForkServer:
    """Serves the emulator's requests. `run` returns in each worker, with the worker's environment set."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._pid = os.getpid()
        self._libc = ctypes.CDLL(None)
        self._workers: set[int] = set()
        self._requests: deque[ForkRequest] = deque()
        self._imports: deque[str] = deque()
        self._imported_at = 0.0
        self._report, self._reporting = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._ended, self._ending = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._partial = b""
        self._is_closed = False
        self._has_hooks = True

    def run(self) -> None:
        """Serve until the emulator closes the socket and all workers have ended; then exit."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._ending, warn_on_full_buffer=False)
        self._tell(ready=True, obstacle=self._obstacle())
        while not self._is_closed or self._workers:
            sources = [self._ended, self._report] + ([] if self._is_closed else [self._control])
            can_prepare = bool(self._imports) or (self._has_hooks and bool(self._workers))
            readable, _, _ = select.select(sources, [], [], 0 if can_prepare else _POLL_S if self._requests else None)
            if self._ended in readable:
                self._reap()
            if self._report in readable:
                self._note_imports()
            if self._control in readable:
                self._note_request()
            if self._requests and self._is_due(self._requests[0], is_prepared=not can_prepare):
                if self._fork(self._requests.popleft()):
                    return
            elif not readable and can_prepare:
                self._prepare()
        os._exit(0)

    def _note_request(self) -> None:
        data, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE_BYTES, 1)
        if data:
            fields = json.loads(data)
            self._requests.append(ForkRequest(fields["environment"], fields["quiet_s"], descriptors[0], time.monotonic()))
        else:
            self._is_closed = True
            self._has_hooks = False
            self._imports.clear()

    def _is_due(self, request: ForkRequest, *, is_prepared: bool) -> bool:
        """Return whether to fork now. While the first worker imports more, each further worker would import the same again.

        So a request waits until no worker has imported anything for `quiet_s`, and this process has imported it all.
        """
        now = time.monotonic()
        is_quiet = now - max(request.at, self._imported_at) >= request.quiet_s
        return (is_prepared and is_quiet) or now - request.at >= _LONGEST_HOLD_S

    def _fork(self, request: ForkRequest) -> bool:
        """Fork the requested worker. Returns True in the worker."""
        # The garbage collector would write to all objects, and so copy the memory that workers share.
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            self._become_worker(request)
            return True
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        os.close(request.output)
        self._workers.add(pid)
        self._tell(forked=pid)
        return False

    def _become_worker(self, request: ForkRequest) -> None:
        # A process group of its own, so that the emulator can stop the worker with its descendants.
        os.setpgid(0, 0)
        self._libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != self._pid:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(request.output, 1)
        os.dup2(request.output, 2)
        waiting = [other.output for other in self._requests]
        for descriptor in (request.output, *waiting, self._report, self._ended, self._ending):
            os.close(descriptor)
        self._control.close()
        # The lowest free descriptor, so standard input.
        os.open(os.devnull, os.O_RDONLY)
        os.environ.update(request.environment)
        sys.meta_path.insert(0, ImportReport(self._reporting))

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._ended, _MESSAGE_BYTES)
        for pid in list(self._workers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._workers.discard(pid)
                self._tell(ended=pid, status=os.waitstatus_to_exitcode(status))

    def _note_imports(self) -> None:
        with contextlib.suppress(BlockingIOError):
            *names, self._partial = (self._partial + os.read(self._report, _MESSAGE_BYTES)).split(b"\n")
            self._imported_at = time.monotonic()
            if not self._is_closed:
                self._imports.extend(name.decode() for name in names)

    def _prepare(self) -> None:
        """Do one thing that spares the next workers the work: import a module, or run the hooks."""
        # Whatever the import of an optional module raises, the worker has handled it.
        with contextlib.suppress(Exception, SystemExit):
            if self._has_hooks:
                self._has_hooks = False
                from awslambdaric.lambda_runtime_hooks_runner import run_before_snapshot

                run_before_snapshot()
            elif (name := self._imports.popleft()) not in sys.modules:
                importlib.import_module(name)
            else:
                return
        if obstacle := self._obstacle():
            self._imports.clear()
            self._tell(obstacle=obstacle)

    def _tell(self, **fields: Any) -> None:
        # If the emulator has closed the socket, nobody waits for the message.
        with contextlib.suppress(OSError):
            self._control.send(json.dumps(fields).encode())

    def _obstacle(self) -> str | None:
        """Return why a fork of this process would be unsafe: other threads, or open sockets, which the forks would share."""
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join(_THREAD_S)
        threads = threading.active_count()
        shared: list[str] = []
        # A process that hides its memory from others may not read these folders; then Python's own count must do.
        with contextlib.suppress(PermissionError):
            threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
            shared = [target for target in map(_target, os.listdir("/proc/self/fd")) if target.startswith(_SHARED)]  # noqa: PTH208
        if threads > 1:
            return f"{threads} threads"
        return f"open: {', '.join(shared)}" if shared else None


def _target(descriptor: str) -> str:
    """Return what an open file of this process is. Standard input, the socket to the emulator, counts as nothing."""
    try:
        return "" if descriptor == "0" else os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    except FileNotFoundError:
        return ""  # the folder that was listed


def main(paths: str, handler: str) -> None:
    """Run AWS's runtime, with the fork server in place of the first request for an invocation."""
    sys.path[:0] = paths.split(os.pathsep)
    sys.argv = ["awslambdaric", handler]
    control = socket.socket(fileno=0)
    # The native client reads the Runtime API's address when it is loaded, so each worker loads it after the fork.
    sys.modules[_RUNTIME_CLIENT] = None  # type: ignore[assignment]
    from awslambdaric import bootstrap, lambda_runtime_client
    from awslambdaric.lambda_config import LambdaConfigProvider

    del sys.modules[_RUNTIME_CLIENT]

    class ForkingClient(lambda_runtime_client.LambdaRuntimeClient):  # type: ignore[misc]
        """AWS's client of the Runtime API. The first call of `wait_next_invocation` returns in the workers only."""

        is_worker = False

        def wait_next_invocation(self) -> Any:
            if not self.is_worker:
                ForkServer(control).run()
                self.is_worker = True
                self.lambda_runtime_address = os.environ["AWS_LAMBDA_RUNTIME_API"]
                with contextlib.suppress(ImportError):
                    client = importlib.import_module(_RUNTIME_CLIENT)
                    client.initialize_client(lambda_runtime_client._user_agent())
                    lambda_runtime_client.runtime_client = client
            return super().wait_next_invocation()

    config = LambdaConfigProvider(sys.argv)
    bootstrap.run(config.handler, ForkingClient(config.api_address, config.use_thread_polling))


if __name__ == "__main__":
    main(*sys.argv[1:])
