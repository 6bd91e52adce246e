"""Workers forked from a process that has imported their function."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.runtime.launch import launch_from_sources
from local.runtime.outcome import Failure, HandlerResult, Outcome
from local.runtime.pool import Pool
from local.template.stack import Function
from tests.local.running_emulator import eventually
from tests.local.runtime.test_pool import RecordingLog, is_alive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")

PROGRAM = """
import os, random, time
print("imported by", os.getpid(), flush=True)
number = 0
def handler(event, context):
    global number
    number += 1
    if event.get("module"):
        __import__(event["module"])
    time.sleep(event.get("seconds", 0))
    return [os.getpid(), os.getppid(), random.random(), os.environ["AWS_LAMBDA_RUNTIME_API"], number]
"""


def with_pool(folder: Path, program: str, test: Callable[[Pool, RecordingLog], Awaitable[Any]], *, forks: bool = True) -> Any:
    """Run an async test with a pool of the program's handler, and stop the pool afterwards."""
    (folder / "app.py").write_text(program)
    function, log = Function(name="F", handler="app.handler", root=folder, folder=folder), RecordingLog()
    spec = launch_from_sources(function)

    async def run() -> Any:
        pool = Pool(function, spec=spec if forks else replace(spec, fork_command=()), extra_environment={}, log=log, size=10)
        try:
            return await asyncio.wait_for(test(pool, log), 60)
        finally:
            await asyncio.wait_for(pool.stop(), 20)

    return asyncio.run(run())


async def seen(pool: Pool, **event: Any) -> list[Any]:
    outcome: Outcome = await pool.submit(json.dumps(event).encode()).outcome
    assert isinstance(outcome, HandlerResult), outcome
    return list(json.loads(outcome.payload))


async def at_once(pool: Pool, count: int) -> list[list[Any]]:
    return list(await asyncio.gather(*(seen(pool, seconds=1) for _ in range(count))))


def imports(log: RecordingLog) -> int:
    return sum("imported by" in line for line in log.lines)


def test_a_function_is_imported_once_for_all_its_workers(tmp_path: Path) -> None:
    async def run(pool: Pool, log: RecordingLog) -> None:
        workers = await at_once(pool, 4)

        assert len({pid for pid, *_ in workers}) == 4
        assert len({parent for _, parent, *_ in workers}) == 1
        assert imports(log) == 1

    with_pool(tmp_path, PROGRAM, run)


def test_workers_share_neither_state_nor_random_numbers_nor_an_address(tmp_path: Path) -> None:
    async def run(pool: Pool, log: RecordingLog) -> None:
        workers = await at_once(pool, 4)

        assert [number for *_, number in workers] == [1, 1, 1, 1]
        assert len({random for _, _, random, _, _ in workers}) == 4
        assert len({address for _, _, _, address, _ in workers}) == 4

    with_pool(tmp_path, PROGRAM, run)


def test_what_a_worker_imports_late_is_imported_for_the_next_workers(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text("import os\nprint('late by', os.getpid(), flush=True)")

    async def run(pool: Pool, log: RecordingLog) -> None:
        _, server, *_ = await seen(pool, module="late")
        while f"late by {server}" not in log.lines:
            await asyncio.sleep(0.02)
        before = len([line for line in log.lines if "late by" in line])
        await asyncio.gather(*(seen(pool, module="late", seconds=1) for _ in range(3)))

        assert len([line for line in log.lines if "late by" in line]) == before == 2

    with_pool(tmp_path, PROGRAM, run)


def test_the_hooks_for_snapshots_run_in_the_server(tmp_path: Path) -> None:
    hook = "import snapshot_restore_py\nsnapshot_restore_py.register_before_snapshot(lambda: print('hook', os.getpid(), flush=True))\n"

    async def run(pool: Pool, log: RecordingLog) -> None:
        _, server, *_ = await seen(pool)
        while f"hook {server}" not in log.lines:
            await asyncio.sleep(0.02)

    with_pool(tmp_path, PROGRAM + hook, run)


THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
SOCKET = "import socket\nkept = socket.socket()\n"


@pytest.mark.parametrize("program", [THREAD, SOCKET], ids=["a thread", "a socket"])
def test_a_function_that_cannot_be_copied_safely_is_imported_by_each_worker(tmp_path: Path, program: str) -> None:
    async def run(pool: Pool, log: RecordingLog) -> None:
        workers = await at_once(pool, 2)

        assert {parent for _, parent, *_ in workers} == {os.getpid()}

    with_pool(tmp_path, PROGRAM + program, run)


def test_without_forks_each_worker_imports_the_function(tmp_path: Path) -> None:
    async def run(pool: Pool, log: RecordingLog) -> None:
        await at_once(pool, 2)

        assert imports(log) == 2

    with_pool(tmp_path, PROGRAM, run, forks=False)


def test_a_server_that_is_killed_takes_its_workers_along_and_is_replaced(tmp_path: Path) -> None:
    async def run(pool: Pool, log: RecordingLog) -> None:
        worker, server, *_ = await seen(pool)
        running = pool.submit(b'{"seconds": 30}').outcome
        await asyncio.sleep(0.1)
        os.kill(server, signal.SIGKILL)
        outcome = await running

        assert isinstance(outcome, Failure)
        assert "signal 9" in outcome.message
        assert await asyncio.to_thread(eventually, lambda: not is_alive(worker))
        assert (await seen(pool))[1] not in (server, os.getpid())

    with_pool(tmp_path, PROGRAM, run)


def test_an_edit_is_imported_by_a_new_server_and_the_old_one_ends_with_its_workers(tmp_path: Path) -> None:
    async def run(pool: Pool, log: RecordingLog) -> None:
        worker, server, *_ = await seen(pool)
        running = asyncio.create_task(seen(pool, seconds=1))
        await asyncio.sleep(0.1)
        pool.replace(launch_from_sources(pool.function))
        new = (await seen(pool))[1]

        assert new != server
        assert (await running)[0] == worker
        assert await asyncio.to_thread(eventually, lambda: not is_alive(server))

    with_pool(tmp_path, PROGRAM, run)


def test_an_import_that_hangs_times_out_and_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.runtime.worker._INIT_LIMIT_S", -2.0)  # with the function's own limit, one second

    async def run(pool: Pool, log: RecordingLog) -> None:
        outcome = await pool.submit(b"{}").outcome

        assert isinstance(outcome, Failure)
        assert outcome.error_type == "Sandbox.Timedout"

    with_pool(tmp_path, "import time\ntime.sleep(60)\n", run)
