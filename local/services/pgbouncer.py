"""PgBouncer in transaction mode as the stand-in for RDS Proxy: both break the same session-level features of PostgreSQL."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local import processes
from local.data_dir import DataDir, write_private
from local.ports import ReservedPort
from local.processes import ChildProcess
from local.server import HOST
from local.services import system_user
from local.services.database import DATABASE_NAME, ROLES
from local.services.supervisor import SupervisedProcess, accepts_connections

_CONFIG_FILE = """\
[databases]
{name} = host={host} port={upstream} dbname={name}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
max_client_conn = 1000
default_pool_size = {pool_size}
ignore_startup_parameters = extra_float_digits
server_login_retry = 1
query_wait_timeout = {query_wait_timeout_s}
log_connections = 0
log_disconnections = 0
"""
_TLS = """\
client_tls_sslmode = require
client_tls_cert_file = {certificate}
client_tls_key_file = {certificate}
"""


def pgbouncer_program() -> str | None:
    """Return the path of PgBouncer, or None if it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class PgBouncer:
    """A transaction pooler in front of the database, on its own port.

    A client that waits longer than `query_wait_timeout_s` for a server connection is disconnected. With a certificate (a PEM
    file that includes its key), clients must use TLS.
    """

    def __init__(
        self,
        program: str,
        folder: DataDir,
        *,
        upstream: int,
        passwords: Mapping[str, str],
        report: Callable[[str], None],
        upstream_host: str = HOST,
        pool_size: int = 20,
        query_wait_timeout_s: int = 2,
        certificate: Path | None = None,
    ) -> None:
        self._program = program
        self._folder = folder.pgbouncer
        self._upstream = upstream
        self._upstream_host = upstream_host
        self._passwords = passwords
        self._pool_size = pool_size
        self._query_wait_timeout_s = query_wait_timeout_s
        self._certificate = certificate
        self._reserved = ReservedPort()
        self.port = self._reserved.number
        self._process = SupervisedProcess(
            "PgBouncer", launch=self._launch, ready=self._is_ready, log=folder.logs / "pgbouncer.log", report=report
        )

    async def start(self) -> None:
        """Write the configuration for this run's ports and start. The database need not be up yet."""
        system_user.make_owned_folder(self._folder)
        users = self._folder / "users.txt"
        self._write(users, "".join(f'"{role}" "{self._passwords[role]}"\n' for role in ROLES))
        text = _CONFIG_FILE.format(
            name=DATABASE_NAME,
            host=self._upstream_host,
            upstream=self._upstream,
            port=self.port,
            users=users,
            pool_size=self._pool_size,
            query_wait_timeout_s=self._query_wait_timeout_s,
        )
        if self._certificate:
            certificate = self._folder / "certificate.pem"
            self._write(certificate, self._certificate.read_text())
            text += _TLS.format(certificate=certificate)
        self._write(self._config, text)
        await self._process.start()

    async def stop(self) -> None:
        await self._process.stop()

    def status(self) -> dict[str, Any]:
        return {**self._process.status(), "port": self.port, "pool_mode": "transaction"}

    @property
    def _config(self) -> Path:
        return self._folder / "pgbouncer.ini"

    def _write(self, path: Path, text: str) -> None:
        write_private(path, text)
        if user := system_user.database_user():
            os.chown(path, user.uid, user.gid)

    async def _launch(self) -> ChildProcess:
        command = (self._program, "--quiet", str(self._config))
        return await processes.start_process(
            *command, cwd=Path("/"), environment={"PATH": os.defpath}, identity=system_user.database_user()
        )

    async def _is_ready(self, _: ChildProcess) -> bool:
        return await accepts_connections(self.port)
