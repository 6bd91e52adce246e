"""Memory and processor time of processes.

Read from Linux's /proc. Elsewhere nothing can be read, and the figures are missing.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.harness.servers import ServerFailed

_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """Return `root` and all that descends from it."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents().items():
        children.setdefault(parent, []).append(pid)
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_ms(pids: list[int]) -> float | None:
    """Return the processor time that the processes have used so far, to a hundredth of a second each."""
    ticks = [ticks for pid in pids if (ticks := _ticks(pid)) is not None]
    return sum(ticks) * 1000 / _TICKS_PER_S if ticks else None


def peak_mb(pid: int) -> float | None:
    """Return the most memory that the process has held at once: its peak resident size."""
    return _status_mb(pid, "VmHWM")


def resident_mb(pid: int) -> float | None:
    """Return the memory that the process holds now: its resident size."""
    return _status_mb(pid, "VmRSS")


def environment(pid: int) -> dict[str, str]:
    """Return the environment that the process was started with."""
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
    return int(fields[11]) + int(fields[12]) if fields else None


def _fields(pid: int) -> list[str]:
    """Return what follows the program's name in `stat` (proc_pid_stat(5)); the name may itself hold spaces."""
    return _read(pid, "stat").rpartition(")")[2].split()


def _read(pid: int, name: str) -> str:
    try:
        return (_PROC / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""


def run_timed(command: list[str], environment: Mapping[str, str] | None = None) -> tuple[float, float]:
    """Run a command whose last words are two figures, and return them: ms, and ms of CPU. Raises ServerFailed."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"{command[-1]}:\n{done.stderr[-2000:]}")
    wall_ms, cpu_ms = map(float, done.stdout.split()[-2:])
    return wall_ms, cpu_ms
