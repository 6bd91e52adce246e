"""Child processes that die with the emulator and are stopped together with their descendants."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")
_STOP_S = 2.0
_READ_BYTES = 65_536


@dataclass(frozen=True)
class SystemUser:
    """The system user that a child process runs as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class ChildProcess:
    """A child process and its output, standard error included."""

    process: Process
    output: asyncio.StreamReader
    _pipe: asyncio.ReadTransport

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def has_ended(self) -> bool:
        return self.process.returncode is not None

    async def wait(self) -> int:
        """Wait for the process to end and return its status, even if a descendant still has the pipe open."""
        return await self.process.wait()

    def kill(self) -> None:
        """Kill the process and its whole process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def stop(self, signum: int = signal.SIGTERM) -> None:
        """Send `signum`, wait up to two seconds, then kill the process group."""
        if not self.has_ended:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signum)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), _STOP_S)
        self.kill()
        await self.wait()
        self._pipe.close()

    def close(self) -> None:
        """Stop reading the output."""
        self._pipe.close()


async def start_process(
    *command: str,
    cwd: Path,
    environment: Mapping[str, str],
    stdin: int = DEVNULL,
    death_signal: int = signal.SIGKILL,
    identity: SystemUser | None = None,
    niceness: int = 0,
) -> ChildProcess:
    """Start `command` in a new session. On Linux it receives `death_signal` when the emulator dies.

    `niceness` lowers the priority of the process and its descendants (nice(2)).

    The new session shields the command from the terminal's Ctrl-C, because the emulator stops its children itself.
    """
    user = (str(identity.uid), str(identity.gid)) if identity else ("-1", "-1")
    wrapper = (sys.executable, "-I", "-S", str(_DIE_WITH_PARENT), str(os.getpid()), str(int(death_signal)), *user, str(niceness))
    # Our own pipe: with asyncio's, `wait` returns only after every descendant has closed it.
    reading, writing = os.pipe()
    output, pipe = await pipe_reader(reading)
    try:
        process = await asyncio.create_subprocess_exec(
            *wrapper, *command, cwd=cwd, env=environment, stdin=stdin, stdout=writing, stderr=STDOUT, start_new_session=True
        )
    except OSError:
        pipe.close()
        raise
    finally:
        os.close(writing)
    return ChildProcess(process, output, pipe)


async def pipe_reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    """Return a reader of the pipe, and the transport that closes it."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(descriptor, "rb", buffering=0))
    return reader, transport


async def read_lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Yield each line, of any length, without its newline. The last line may lack the newline."""
    parts: list[bytes] = []
    while data := await stream.read(_READ_BYTES):
        *whole, rest = data.split(b"\n")
        for line in whole:
            yield _joined_text([*parts, line])
            parts = []
        parts.append(rest)
    if any(parts):
        yield _joined_text(parts)


def _joined_text(parts: list[bytes]) -> str:
    return b"".join(parts).decode(errors="replace")
