"""What the processes of this machine do with its processors. Linux only: elsewhere nothing computes and nothing is known."""

import contextlib
import os
import time
from pathlib import Path

# The clock of a process is the number that clock_getcpuclockid(3) would return.
_CLOCK_OF_PROCESS = 2


def is_computing(pid: int | None) -> bool:
    """Return whether a thread of the process computes, or could if a processor were free."""
    return any(_state(path) == "R" for path in Path(f"/proc/{pid}/task").glob("*/stat"))


def processor_time_s(pid: int | None) -> float | None:
    """Return how long the process has computed in all of its threads, or None if it is not running."""
    with contextlib.suppress(OSError):
        return time.clock_gettime(~pid << 3 | _CLOCK_OF_PROCESS) if pid else None
    return None


def is_contended(cores: int | None = None) -> bool:
    """Return whether this machine has no processor left, apart from the one that this process may use now."""
    try:
        others = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1
    except (OSError, ValueError, IndexError):
        return False
    return others >= (cores or os.cpu_count() or 1)


def _state(path: Path) -> str:
    try:
        return path.read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
