"""The embedded PostgreSQL of `parley up`, without the rest of the stack, for tests that need only a database."""

import asyncio
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, event

from local.data_dir import DataDir
from local.services import database
from local.services.postgres import SUPERUSER, Postgres, read_pid_file
from local.services.postgres import _binaries as binaries
from tests.support.time_limits import HANG_S

# Tests stop and crash the server but not the machine, so what it has written to the system's cache is safe.
WITHOUT_POWER_CUTS = {"fsync": "off", "full_page_writes": "off"}


class RunningPostgres:
    """A server with Parley's roles and an empty database. Tests can query it as the superuser, and crash it."""

    def __init__(self, folder: Path) -> None:
        self._folder = DataDir(folder)
        self._passwords = {role: secrets.token_hex(8) for role in (SUPERUSER, *database.ROLES)}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server = Postgres(self._folder, password=self._passwords[SUPERUSER], report=print, settings=WITHOUT_POWER_CUTS)
        self.passfile = folder / "pgpass"

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def superuser_url(self) -> str:
        return f"postgresql://{SUPERUSER}:{self._passwords[SUPERUSER]}@127.0.0.1:{self.port}"

    def start(self) -> None:
        self._folder.logs.mkdir()
        self._thread.start()
        self._run(self._server.start())
        database.bootstrap(self.port, self._passwords)
        self.passfile.write_text(database.pgpass([self.port], self._passwords))
        self.passfile.chmod(0o600)

    def stop(self) -> None:
        self._run(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def execute(self, statement: str, *, dbname: str = database.DATABASE_NAME) -> list[tuple[Any, ...]]:
        """Run SQL as the superuser, who bypasses every policy, and return the rows."""
        address = {"host": "127.0.0.1", "port": self.port, "user": SUPERUSER, "password": self._passwords[SUPERUSER]}
        with psycopg.connect(**address, dbname=dbname, autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def dump(self) -> str:
        """Return the output of `pg_dump`: every row of every table."""
        address = ["--host=127.0.0.1", f"--port={self.port}", f"--username={SUPERUSER}"]
        program = [str(binaries() / "pg_dump"), *address, database.DATABASE_NAME]
        variables = {"PGPASSWORD": self._passwords[SUPERUSER]}
        return subprocess.run(program, env=variables, capture_output=True, text=True, check=True).stdout

    def crash(self) -> None:
        """Stop the server abruptly, as a power cut would: every client loses its connection. The supervisor restarts the server."""
        pid, *_ = read_pid_file(self._folder.postgres)
        os.kill(int(pid), signal.SIGQUIT)

    def wait_until_down(self) -> None:
        """Wait until the server accepts no connection."""
        while self._accepts_connections():
            time.sleep(0.01)

    def wait_until_up(self) -> None:
        """Wait until the server accepts connections again."""
        while not self._accepts_connections():
            time.sleep(0.02)

    def _accepts_connections(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def terminate_backend(self, pid: int) -> None:
        self.execute(f"SELECT pg_terminate_backend({pid}, 5000)")

    def create_database(self, name: str) -> str:
        self.execute(f"CREATE DATABASE {name} OWNER {database.OWNER_ROLE}")
        for extension in database.EXTENSIONS:
            self.execute(f"CREATE EXTENSION {extension}", dbname=name)
        return name

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(HANG_S)


@contextmanager
def running_postgres(folder: Path) -> Iterator[RunningPostgres]:
    """Run a server until the end of the block."""
    server = RunningPostgres(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def dropped_once(engine: Engine, server: RunningPostgres, *, before: str) -> Iterator[list[str]]:
    """Drop the engine's connection before its first statement that contains `before`. Yield that statement once it is sent."""
    dropped: list[str] = []

    def drop(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if before in statement and not dropped:
            dropped.append(statement)
            server.terminate_backend(connection.connection.dbapi_connection.info.backend_pid)

    event.listen(engine, "before_cursor_execute", drop)
    try:
        yield dropped
    finally:
        event.remove(engine, "before_cursor_execute", drop)
