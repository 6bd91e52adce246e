"""Run a command to its end within a time limit."""

import asyncio
import contextlib
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from pathlib import Path

_STOP_S = 10.0
_TAIL_LINES = 15


class ProcessFailed(Exception):
    """A command failed; the message ends with the last lines of its output."""

    def __init__(self, name: str, output: str) -> None:
        super().__init__(f"{name} failed:\n{last_lines(output)}")


def last_lines(text: str) -> str:
    """Return the last lines of `text`."""
    return "\n".join(text.strip().splitlines()[-_TAIL_LINES:])


async def run_command(*command: str, cwd: Path, environment: Mapping[str, str], limit_s: float) -> tuple[str, str]:
    """Return the standard output and standard error of a command. Raises `ProcessFailed` on a non-zero status or a timeout."""
    name = " ".join(command[:3])
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    try:
        stdout, stderr = await asyncio.wait_for(process.communicate(), limit_s)
    except TimeoutError as error:
        raise ProcessFailed(name, f"still running after {limit_s:.0f} s") from error
    finally:
        await _end_process(process)
    if process.returncode != 0:
        raise ProcessFailed(name, stderr.decode(errors="replace"))
    return stdout.decode(errors="replace"), stderr.decode(errors="replace")


async def _end_process(process: Process) -> None:
    """Terminate the process if it still runs. SIGTERM comes first, because `sam local` handles it and removes its container."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
