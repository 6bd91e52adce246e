"""Memory, processor time and environment of processes, from Linux's /proc. On other systems, the figures are None."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.harness.servers import ServerFailed

_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# It ends with its parent, even if the parent is killed.
_HOG = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"


def tree(root: int) -> list[int]:
    """Return the process ids of `root` and all its descendants."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents().items():
        children.setdefault(parent, []).append(pid)
    pids = []
    pending = [root]
    while pending:
        pid = pending.pop()
        pids.append(pid)
        pending += children.get(pid, [])
    return pids


def cpu_ms(pids: list[int]) -> float | None:
    """Return the total processor time of the processes and of their children that have ended.

    The time of each process is rounded to 10 ms.
    """
    ticks = [ticks for pid in pids if (ticks := _ticks(pid)) is not None]
    return sum(ticks) * 1000 / _TICKS_PER_S if ticks else None


def peak_mb(pid: int) -> float | None:
    """Return the peak resident size of the process."""
    return _status_mb(pid, "VmHWM")


def resident_mb(pid: int) -> float | None:
    """Return the current resident size of the process."""
    return _status_mb(pid, "VmRSS")


def threads(pid: int) -> int | None:
    """Return the number of the process's threads."""
    for line in _read(pid, "status").splitlines():
        if line.startswith("Threads:"):
            return int(line.split()[1])
    return None


def open_files(pid: int) -> int | None:
    """Return the number of the process's file descriptors."""
    try:
        return len(list((_PROC / str(pid) / "fd").iterdir()))
    except OSError:
        return None


def environment(pid: int) -> dict[str, str]:
    """Return the initial environment of the process."""
    pairs = (variable.partition("=") for variable in _read(pid, "environ").split("\0") if variable)
    return {name: value for name, _, value in pairs}


def _status_mb(pid: int, name: str) -> float | None:
    for line in _read(pid, "status").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return None


def _parents() -> dict[int, int]:
    pids = [int(path.name) for path in _PROC.iterdir() if path.name.isdigit()] if _PROC.is_dir() else []
    return {pid: int(fields[1]) for pid in pids if (fields := _fields(pid))}


def _ticks(pid: int) -> int | None:
    fields = _fields(pid)
    # Own time in user and kernel mode, and that of the children that it has waited for.
    return sum(map(int, fields[11:15])) if fields else None


def _fields(pid: int) -> list[str]:
    """Return the fields after the program's name in `stat` (proc_pid_stat(5)); the name may contain spaces."""
    return _read(pid, "stat").rpartition(")")[2].split()


def _read(pid: int, name: str) -> str:
    try:
        return (_PROC / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""


def run_timed(command: list[str], environment: Mapping[str, str] | None = None) -> tuple[float, float]:
    """Run a command whose output ends with wall and CPU milliseconds, and return both. Raises `ServerFailed` if it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"{command[-1]}:\n{done.stderr[-2000:]}")
    wall_ms, cpu_ms = map(float, done.stdout.split()[-2:])
    return wall_ms, cpu_ms


@contextmanager
def running_hogs(count: int) -> Iterator[list[int]]:
    """Run processes that only compute, at the usual priority, until the end of the block or of this process. Yields their ids."""
    with ExitStack() as stack:
        pids = []
        for _ in range(count):
            hog = stack.enter_context(subprocess.Popen([sys.executable, "-c", _HOG], start_new_session=True))
            stack.callback(hog.kill)
            pids.append(hog.pid)
        yield pids
