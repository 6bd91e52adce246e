"""`parley up` that is killed while it starts: the next start succeeds, whatever the killed one left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from bench.harness.processes import tree
from local.data_dir import DataDir
from local.ports import free_port
from local.services.postgres import Postgres
from tests.local.conftest import STACK
from tests.local.running_emulator import eventually
from tests.local.test_up import started

PASSWORD = "the-same-at-every-start"
START_POSTGRES = f"""
import asyncio, pathlib, sys
from local.data_dir import DataDir
from local.services.postgres import Postgres
asyncio.run(Postgres(DataDir(pathlib.Path(sys.argv[1])), password={PASSWORD!r}, report=print).start())
"""


def is_in_initdb(data: Path) -> bool:
    return any(data.glob("postgres.new*/PG_VERSION"))


def has_server(data: Path) -> bool:
    return (data / "postgres" / "postmaster.pid").exists()


def has_secrets(data: Path) -> bool:
    return (data / "secrets.json").exists()


def kill_all(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_start(data: Path, port: int, moment: Callable[[Path], bool], *, with_children: bool) -> None:
    """Start the stack and kill it at this moment of its start: its process alone, or all of its processes as a power cut would."""
    command = [sys.executable, "-m", "local", "up", "--port", str(port), "--data", str(data), "--template", str(STACK), "--no-watch"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert eventually(lambda: moment(data) or process.poll() is not None)
        assert process.poll() is None, process.communicate()[0]
    finally:
        kill_all(tree(process.pid) if with_children else [process.pid])
        process.communicate()


def test_after_kills_at_several_moments_of_the_start_the_stack_starts_from_the_same_folder(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    for moment in (has_secrets, is_in_initdb, has_server):
        kill_start(data, port, moment, with_children=False)
        kill_start(data, port, moment, with_children=True)

    with started(data, port=port) as up, up.connect("parley_app") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert sorted(path.name for path in data.glob("*postgres*")) == ["postgres"]
        assert not (data / ".initial-password").exists()


def test_an_initdb_that_outlives_a_killed_start_does_not_disturb_the_next_start(tmp_path: Path) -> None:
    folder = DataDir(tmp_path / "data")
    folder.logs.mkdir(parents=True)
    killed = subprocess.Popen([sys.executable, "-c", START_POSTGRES, str(folder.root)])
    assert eventually(lambda: is_in_initdb(folder.root))
    killed.kill()
    killed.wait()

    asyncio.run(start_and_query(folder))


async def start_and_query(folder: DataDir) -> None:
    server = Postgres(folder, password=PASSWORD, report=print)
    await server.start()
    try:
        login = {"host": server.host, "port": server.port, "user": server.superuser, "password": PASSWORD, "dbname": "postgres"}
        with await asyncio.to_thread(psycopg.connect, **login) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        await server.stop()
