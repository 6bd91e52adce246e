"""Child processes: started so that they die with the emulator, and ended with all that they started."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TETHER = Path(__file__).with_name("tether.py")
_STOP_S = 2.0


@dataclass(frozen=True)
class Identity:
    """The system user that a child runs as."""

    uid: int
    gid: int


async def start(
    *command: str,
    cwd: Path,
    environment: Mapping[str, str],
    death_signal: int = signal.SIGKILL,
    identity: Identity | None = None,
) -> Process:
    """Start `command` in a session of its own, its output in one pipe; it gets `death_signal` when the emulator dies.

    The session keeps the terminal's Ctrl-C away from it: the emulator ends its children itself.
    """
    who = (str(identity.uid), str(identity.gid)) if identity else ("-1", "-1")
    tether = (sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), str(int(death_signal)), *who)
    return await asyncio.create_subprocess_exec(
        *tether,
        *command,
        cwd=cwd,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
    )


def kill(process: Process) -> None:
    """Kill the process and all of its session at once."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def stop(process: Process, signum: int = signal.SIGTERM, *, patience_s: float = _STOP_S) -> None:
    """Ask the process to end, wait, and kill what is still there."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signum)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience_s)
    kill(process)
    await process.wait()
