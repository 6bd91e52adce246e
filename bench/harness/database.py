"""A temporary PostgreSQL with the newest schema, on a free port."""

import asyncio
import os
import secrets
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from functions.migrate.upgrade import upgrade
from local.data_dir import DataDir
from local.services import database
from local.services.postgres import SUPERUSER, Postgres
from parley.db.engine import make_engine
from parley.settings import DatabaseSettings


@contextmanager
def running_database(revision: str = "head") -> Iterator[DatabaseSettings]:
    """Run the server with the schema of `revision` until the end of the block, and set `PGPASSFILE` to a file with the roles' passwords."""
    with TemporaryDirectory(prefix="parley-bench-") as folder:
        root = Path(folder)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        data = DataDir(root)
        passwords = {role: secrets.token_hex(8) for role in (SUPERUSER, *database.ROLES)}
        data.logs.mkdir()
        server = Postgres(data, password=passwords[SUPERUSER], report=print)
        _wait(loop, server.start())
        try:
            yield _prepared(root, server.port, passwords, revision)
        finally:
            _wait(loop, server.stop())
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def _prepared(root: Path, port: int, passwords: dict[str, str], revision: str) -> DatabaseSettings:
    database.bootstrap(port, passwords)
    passfile = root / "pgpass"
    passfile.write_text(database.pgpass([port], passwords))
    passfile.chmod(0o600)
    os.environ["PGPASSFILE"] = str(passfile)
    settings = DatabaseSettings(
        database_host="127.0.0.1",
        database_port=port,
        database_name=database.DATABASE_NAME,
        database_auth="libpq",
        database_tls="disable",
        database_ca_file="",
    )
    owner = make_engine(settings, role="owner")
    upgrade(owner, revision)
    owner.dispose()
    return settings


def _wait(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
    asyncio.run_coroutine_threadsafe(work, loop).result(120)
