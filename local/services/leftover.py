"""A database server that a killed emulator left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_LEFTOVER_S = 10.0


def end_leftover(data: Path) -> None:
    """End a server that a killed emulator left on this data, so that a new one may have it."""
    lines = pid_file(data)
    if not lines or not lines[0].isdigit():
        return
    pid = int(lines[0])
    for signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if not _is_server_of(pid, data):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)
        _wait_for_end(pid, data)


def is_held_by_leftover(reason: str) -> bool:
    """Return whether a server did not start because an older one, too young to have noted itself, is still going down."""
    return "postmaster.pid" in reason or "shared memory" in reason


def _wait_for_end(pid: int, data: Path) -> None:
    ends = time.monotonic() + _LEFTOVER_S
    while time.monotonic() < ends and _is_server_of(pid, data):
        time.sleep(0.02)


def _is_server_of(pid: int, data: Path) -> bool:
    """Return whether the process is a PostgreSQL on this data, and not a stranger that got its number."""
    command = _command(pid)
    return "postgres" in command and str(data) in command


def _command(pid: int) -> str:
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    listed = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout


def pid_file(data: Path) -> list[str]:
    """Return the lines of the server's own note about itself: process id first, its state eighth; none if there is none."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []
