"""A PostgreSQL server like a new RDS or Aurora cluster: an empty database, and a master user that is not a superuser."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from local.services.postgres import _binaries as binaries
from tests.support.postgres import RunningPostgres, running_postgres

MASTER = "parley_master"
PASSWORD = "master-password"
# The owner last: it may have granted the others their rights.
ROLES = ("parley_app", "parley_background", "parley_search", "parley_owner")


class RdsCluster:
    """The running server, its master user's address, and a way to log in as Parley's roles."""

    def __init__(self, server: RunningPostgres) -> None:
        self.server = server

    @property
    def address(self) -> dict[str, Any]:
        """The connection parameters of the master user, without a database."""
        return {"host": "127.0.0.1", "port": self.server.port, "user": MASTER, "password": PASSWORD}

    @property
    def environment(self) -> dict[str, str]:
        """The variables that direct the functions to this server."""
        return {"PARLEY_DATABASE_PORT": str(self.server.port), "PGPASSFILE": str(self.server.passfile)}

    def allow_passwords(self) -> None:
        """Let Parley's roles log in with the passwords of the password file. On RDS they use IAM tokens instead."""
        for line in self.server.passfile.read_text().splitlines():
            role, password = line.split(":")[3:5]
            self.server.execute(f"DO $$ BEGIN ALTER ROLE {role} PASSWORD '{password}'; EXCEPTION WHEN undefined_object THEN NULL; END $$")

    def empty(self) -> None:
        """Drop Parley's database and roles, and create the database of a new cluster."""
        self.server.execute("DROP DATABASE IF EXISTS parley WITH (FORCE)", dbname="postgres")
        for role in ROLES:
            self.server.execute(f"DROP ROLE IF EXISTS {role}", dbname="postgres")
        self.server.execute(f"CREATE DATABASE parley OWNER {MASTER}", dbname="postgres")


@contextmanager
def running_rds() -> Iterator[RdsCluster]:
    """Run a server until the end of the block."""
    with TemporaryDirectory(prefix="parley-rds-") as folder, running_postgres(Path(folder)) as server:
        _trust_the_vector_extension(server, Path(folder) / "extensions")
        server.execute(f"CREATE ROLE {MASTER} LOGIN CREATEROLE CREATEDB PASSWORD '{PASSWORD}'")
        server.execute("CREATE ROLE rds_iam NOLOGIN")
        server.execute(f"GRANT rds_iam TO {MASTER} WITH ADMIN OPTION")
        cluster = RdsCluster(server)
        cluster.empty()
        yield cluster


def _trust_the_vector_extension(server: RunningPostgres, folder: Path) -> None:
    """Let the owner of a database create the extension, as RDS and Neon do for the extensions that they support."""
    (shipped,) = (binaries().parent / "share").rglob("vector.control")
    shutil.copytree(shipped.parent, folder / "extension", ignore=lambda _, names: [name for name in names if not name.startswith("vector")])
    control = folder / "extension" / "vector.control"
    control.write_text(control.read_text() + "trusted = true\n")
    folder.parent.chmod(0o755)
    server.execute(f"ALTER SYSTEM SET extension_control_path = '{folder}:$system'")
    server.execute("SELECT pg_reload_conf()")
