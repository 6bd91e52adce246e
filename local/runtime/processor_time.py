"""The processor time of processes, and whether they compute. Linux only: elsewhere nothing computes."""

import contextlib
import os
import time
from collections.abc import Callable

# The clock of a process is the number that clock_getcpuclockid(3) would return.
_CLOCK_OF_PROCESS = 2
_MOST_BYTES = 4_096
# A look takes some microseconds for each process, so there are not more of them than this.
_BETWEEN_LOOKS_S = 0.005


def is_computing(pid: int | None) -> bool:
    """Return whether a thread of the process computes, or could if a processor were free."""
    try:
        with os.scandir(f"/proc/{pid}/task") as threads:
            return any(_state(f"{thread.path}/stat") == b"R" for thread in threads)
    except OSError:
        return False


def processor_time_s(pid: int | None) -> float | None:
    """Return how long the process has computed in all of its threads, or None if it is not running."""
    with contextlib.suppress(OSError):
        return time.clock_gettime(~pid << 3 | _CLOCK_OF_PROCESS) if pid else None
    return None


def is_contended(cores: int | None = None) -> bool:
    """Return whether this machine has no processor left, apart from the one that this process may use now."""
    try:
        others = int(_read("/proc/loadavg").split()[3].partition(b"/")[0]) - 1
    except (ValueError, IndexError):
        return False
    return others >= (cores or os.cpu_count() or 1)


def _read(path: str) -> bytes:
    """Return the beginning of a file of /proc, or nothing. `Path` takes four times as long, and invocations that wait look often."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(file, _MOST_BYTES)
    except OSError:
        return b""
    finally:
        os.close(file)


class DatabaseProcesses:
    """The processes that a database server has started. `server_pid` returns its own process, or None if it is not known."""

    def __init__(self, server_pid: Callable[[], int | None] = lambda: None) -> None:
        self._server_pid = server_pid
        self._times_s: dict[int, float] | None = None
        self._looked_at = 0.0

    def is_computing(self) -> bool:
        """Return whether one of them computes, or could if a processor were free."""
        return any(_state(f"/proc/{pid}/stat") == b"R" for pid in self._pids())

    def look(self) -> float:
        """Return for how many seconds they have computed since the last look; 0 for the first look, and for one that is too early.

        Each has one thread, so none counts for longer than the time between the looks: the kernel's list may leave out a process once, and
        a number may be another process's next time.
        """
        now = time.monotonic()
        elapsed_s = now - self._looked_at
        if elapsed_s < _BETWEEN_LOOKS_S:
            return 0.0
        self._looked_at = now
        times_s = {pid: time_s for pid in self._pids() if (time_s := processor_time_s(pid)) is not None}
        before_s, self._times_s = self._times_s, times_s
        if before_s is None:
            return 0.0
        return sum(min(max(0.0, time_s - before_s.get(pid, 0.0)), elapsed_s) for pid, time_s in times_s.items())

    def _pids(self) -> list[int]:
        pid = self._server_pid()
        return [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()] if pid else []


def _state(path: str) -> bytes:
    return b"".join(_read(path).rpartition(b")")[2].split()[:1])
