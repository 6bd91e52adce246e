"""The lock that lets one process at a time migrate a database, and the error of a migration that waits too long for a table."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

# An arbitrary number, but every release must use the same.
LOCK = 7_202_611
_POLL_PAUSE_S = 0.2
_LOCK_NOT_AVAILABLE = "55P03"


class LockTimeout(Exception):
    """A migration could not lock a table in time and was rolled back. It can be repeated."""


@contextmanager
def lock_migrations(engine: Engine) -> Iterator[None]:
    """Wait for the lock and hold it until the end of the block, in a connection of its own.

    A transaction holds it, because a session-level lock leaks through a transaction pooler. Migrations commit several times, so
    the transaction is not theirs.
    """
    with closing(engine.connect()) as connection:
        connection.detach()  # the engine's pool has room for one connection, which the migrations need
        # `CREATE INDEX CONCURRENTLY` waits for every older snapshot. A statement that waits for the lock has one: so ask again and
        # again. With a parameter, it would be an extended query, which keeps its snapshot until the transaction ends.
        while not connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({LOCK})").scalar():
            time.sleep(_POLL_PAUSE_S)
        yield


@contextmanager
def translated_lock_timeouts() -> Iterator[None]:
    """Raise LockTimeout for a statement that PostgreSQL ended because of `lock_timeout`."""
    try:
        yield
    except OperationalError as exc:
        if getattr(exc.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise LockTimeout(str(exc.orig)) from exc
