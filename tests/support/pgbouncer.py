"""PgBouncer in transaction mode in front of the tests' PostgreSQL, standing in for RDS Proxy."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from anyio.from_thread import start_blocking_portal

from local.data_dir import DataDir, write_private
from local.services import database
from local.services.pgbouncer import PgBouncer, pgbouncer_program
from tests.support.postgres import RunningPostgres


@contextmanager
def running_pgbouncer(
    postgres: RunningPostgres, *, pool_size: int = 20, patience_s: int = 2, certificate: Path | None = None
) -> Iterator[dict[str, str]]:
    """Run a pooler and yield the environment variables that point a function at it.

    The pooler has `pool_size` connections per role and refuses a client that waits longer than `patience_s`. If PgBouncer
    is not installed, the variables point directly at PostgreSQL, where functions must behave the same. With a certificate
    (a PEM file that includes its key) it accepts TLS only.
    """
    if (program := pgbouncer_program()) is None:
        yield {"PARLEY_DATABASE_PORT": str(postgres.port), "PGPASSFILE": str(postgres.passfile)}
        return
    passwords = read_passwords(postgres.passfile)
    with TemporaryDirectory(prefix="parley-test-") as path, start_blocking_portal() as portal:
        folder = DataDir(Path(path))
        folder.logs.mkdir()
        bouncer = PgBouncer(
            program,
            folder,
            upstream=postgres.port,
            passwords=passwords,
            report=print,
            pool_size=pool_size,
            query_wait_timeout_s=patience_s,
            certificate=certificate,
        )
        write_private(folder.pgpass, database.pgpass([postgres.port, bouncer.port], passwords))
        portal.call(bouncer.start)
        try:
            yield {"PARLEY_DATABASE_PORT": str(bouncer.port), "PGPASSFILE": str(folder.pgpass)}
        finally:
            portal.call(bouncer.stop)


def read_passwords(passfile: Path) -> dict[str, str]:
    """Return each role's password from a libpq password file."""
    return dict(line.split(":")[3:5] for line in passfile.read_text().splitlines())
