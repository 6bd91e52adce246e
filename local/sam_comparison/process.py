"""Running a command to its end."""

import asyncio
import contextlib
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from pathlib import Path

_STOP_S = 10.0
_TAIL_LINES = 15


class ProcessFailed(Exception):
    """A command that the comparison needs failed; the text has its last lines."""

    def __init__(self, name: str, output: str) -> None:
        super().__init__(f"{name} failed:\n{last_lines(output)}")


def last_lines(text: str) -> str:
    """Return the last lines of an output."""
    return "\n".join(text.strip().splitlines()[-_TAIL_LINES:])


async def run_command(*command: str, cwd: Path, environment: Mapping[str, str], limit_s: float) -> tuple[str, str]:
    """Return what a command wrote to its two outputs; raises `ProcessFailed` by its status and by the time limit."""
    name = " ".join(command[:3])
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    try:
        written, said = await asyncio.wait_for(process.communicate(), limit_s)
    except TimeoutError as error:
        raise ProcessFailed(name, f"no end after {limit_s:.0f} s") from error
    finally:
        await _end_process(process)
    if process.returncode != 0:
        raise ProcessFailed(name, said.decode(errors="replace"))
    return written.decode(errors="replace"), said.decode(errors="replace")


async def _end_process(process: Process) -> None:
    """End what still runs; `sam local` removes its container when it is asked to end."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
