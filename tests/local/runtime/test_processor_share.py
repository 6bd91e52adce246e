"""The division of the processors among users."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.processes import start_process
from local.runtime.fair_queue import FairQueue
from local.runtime.invocation import Invocation
from local.runtime.processor_share import BULK, UNLIMITED, ProcessorShare
from local.runtime.processor_time import DatabaseProcesses, is_computing, is_contended, processor_time_s
from tests.local.running_emulator import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

COMPUTE = "while True: pass"
COMPUTE_FOR_PARENT = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"
SERVER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {COMPUTE_FOR_PARENT!r}])"
WAIT = "import time; print('ready', flush=True); time.sleep(60)"


@contextmanager
def running(program: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


async def running_invocation(share: ProcessorShare, user: str, process: subprocess.Popen[bytes], *, elapsed_s: float = 0.05) -> Invocation:
    """Return an invocation that has run for a while."""
    invocation = Invocation(b"", user=user)
    invocation.start()
    share.begin(invocation, process)
    await asyncio.sleep(elapsed_s)
    return invocation


async def compute(share: ProcessorShare, user: str) -> None:
    """Run an invocation that computes for 0.2 s or more."""
    with running(COMPUTE) as process:
        invocation = await running_invocation(share, user, process)
        assert eventually(lambda: (processor_time_s(process.pid) or 0) > 0.2)
        invocation.answer(b"")
        share.end(invocation)


def test_a_user_who_computes_waits_while_another_is_active() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=2)
        with running(COMPUTE) as process:
            await running_invocation(share, "alice", process)
            alone = share.free("alice")
            share.see("bob")

            assert alone == 1
            assert (share.free("alice"), share.free("bob")) == (0, 1)

    asyncio.run(run())


def test_an_invocation_that_only_waits_takes_no_share() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=2)
        with running(WAIT) as process:
            assert process.stdout
            process.stdout.readline()
            share.see("bob")
            await running_invocation(share, "alice", process, elapsed_s=0.2)

            assert share.free("alice") == 1

    asyncio.run(run())


def test_an_invocation_that_is_over_takes_no_share() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=2)
        with running(COMPUTE) as process:
            share.see("bob")
            share.see("alice")
            (await running_invocation(share, "alice", process)).answer(b"")

            assert share.free("alice") == 1

    asyncio.run(run())


@pytest.mark.parametrize(("is_full", "free"), [(True, 0), (False, 2)], ids=["no processor is free", "a processor is free"])
def test_a_heavy_user_gives_way_to_a_lighter_one(is_full: bool, free: int) -> None:
    async def run() -> None:
        share = ProcessorShare(cores=4, is_contended=lambda: is_full)
        await compute(share, "alice")
        with running(WAIT) as process:
            turn = await running_invocation(share, "bob", process, elapsed_s=0)
            share.see("alice")
            share.see("bob")

            assert (share.free("alice"), share.free("bob")) == (free, 1)

            turn.answer(b"")
            assert eventually(lambda: share.free("alice") == 2)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("pause_s", "hold_s", "free"), [(60, 60, 0), (0, 60, 2), (60, 0, 2)], ids=["in the pause", "after the pause", "after the longest hold"]
)
def test_a_heavy_user_leaves_the_pause_between_requests_to_a_lighter_one(monkeypatch, pause_s: float, hold_s: float, free: int) -> None:
    async def run() -> None:
        share = ProcessorShare(cores=4, is_contended=lambda: True)
        await compute(share, "alice")
        with running(WAIT) as process:
            (await running_invocation(share, "alice", process, elapsed_s=0)).answer(b"")
            share.see("bob")
            turn = await running_invocation(share, "bob", process, elapsed_s=0)
            assert share.free("alice") == 0
            turn.answer(b"")

            assert share.free("alice") == free

    for name, seconds in {"_PAUSE_S": pause_s, "_LONGEST_HOLD_S": hold_s, "_CONTENDED_S": 60}.items():
        monkeypatch.setattr(f"local.runtime.processor_share.{name}", seconds)
    asyncio.run(run())


@contextmanager
def computing_database() -> Iterator[tuple[DatabaseProcesses, int]]:
    """Run a server whose child computes; the number is the child's."""
    with running(SERVER) as server:
        database = DatabaseProcesses(lambda: server.pid)
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
        assert eventually(lambda: children.read_text() != "")
        child = int(children.read_text())
        try:
            assert eventually(lambda: (processor_time_s(child) or 0) > 0.05)
            database.look()
            yield database, child
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_database_has_computed_for_as_long_as_its_children() -> None:
    with computing_database() as (database, _):
        began = time.monotonic()
        assert eventually(lambda: database.look() > 0)
        used_s = 0.0
        while used_s < 0.1:
            used_s += database.look()

        assert database.is_computing()
        assert used_s < time.monotonic() - began


def test_a_process_of_the_database_that_was_overlooked_counts_no_longer_than_since_the_last_look() -> None:
    with computing_database() as (database, child):
        assert eventually(lambda: (processor_time_s(child) or 0) > 0.3)
        pids = iter([[], [child]])
        database._pids = lambda: next(pids)  # type: ignore[method-assign]
        time.sleep(0.01)
        began = time.monotonic()
        database.look()
        time.sleep(0.01)

        assert 0 < database.look() <= time.monotonic() - began


def test_a_database_that_nobody_knows_computes_for_nobody() -> None:
    database = DatabaseProcesses()

    assert (database.look(), database.is_computing()) == (0.0, False)


@pytest.mark.parametrize(
    ("hold_s", "lighter", "free"),
    [(60, "bob", 0), (0, "bob", 1), (60, "alice", 1)],
    ids=["in the database", "after the longest hold", "beside a heavier user"],
)
def test_a_heavy_user_waits_while_the_database_computes_for_it(monkeypatch, hold_s: float, lighter: str, free: int) -> None:
    async def run() -> None:
        with computing_database() as (database, _), running(WAIT) as process:
            assert process.stdout
            process.stdout.readline()
            share = ProcessorShare(cores=2, is_contended=lambda: False, database=database)
            for _ in range(3):
                await compute(share, "bob" if lighter == "alice" else "alice")
            share.see("bob")
            await running_invocation(share, "alice", process, elapsed_s=0.2)
            found = []
            for _ in range(20):
                found.append(share.free("alice"))
                await asyncio.sleep(0.006)

            assert set(found) == {free}

    monkeypatch.setattr("local.runtime.processor_share._LONGEST_HOLD_S", hold_s)
    asyncio.run(run())


@contextmanager
def share_of_a_computing_database() -> Iterator[tuple[ProcessorShare, subprocess.Popen[bytes], Callable[[], None]]]:
    """Yield a division of processors, a process that waits, and a function that waits until the database has computed for 0.3 s more."""
    with computing_database() as (database, child), running(WAIT) as process:
        assert process.stdout
        process.stdout.readline()

        def wait() -> None:
            before_s = processor_time_s(child) or 0
            assert eventually(lambda: (processor_time_s(child) or 0) > before_s + 0.3)

        yield ProcessorShare(cores=4, is_contended=lambda: True, database=database), process, wait


def test_whoever_keeps_the_database_busy_gives_way() -> None:
    async def run() -> None:
        with share_of_a_computing_database() as (share, process, let_database_compute):
            query = await running_invocation(share, "alice", process, elapsed_s=0)
            let_database_compute()
            query.answer(b"")
            share.end(query)
            turn = await running_invocation(share, "bob", process, elapsed_s=0)
            share.see("alice")

            assert (share.free("alice"), share.free("bob")) == (0, 1)
            turn.answer(b"")

    asyncio.run(run())


def test_work_of_the_database_for_queues_is_charged_to_nobody() -> None:
    async def run() -> None:
        with share_of_a_computing_database() as (share, process, let_database_compute):
            for user in ["alice"] + 30 * [""]:
                await running_invocation(share, user, process, elapsed_s=0)
            let_database_compute()
            await running_invocation(share, "bob", process, elapsed_s=0)

            assert share.free("alice") == 2

    asyncio.run(run())


def test_of_users_who_compute_alike_none_gives_way() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=4, is_contended=lambda: True)
        await compute(share, "alice")
        await compute(share, "bob")
        with running(WAIT) as process:
            await running_invocation(share, "bob", process, elapsed_s=0)

            assert share.free("alice") == 2

    asyncio.run(run())


def test_a_lighter_user_who_only_waits_holds_nobody_back() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=4, is_contended=lambda: True)
        await compute(share, "alice")
        with running(WAIT) as process:
            assert process.stdout
            process.stdout.readline()
            await running_invocation(share, "bob", process, elapsed_s=0.2)

            assert share.free("alice") == 2

    asyncio.run(run())


@pytest.mark.parametrize(
    ("is_full", "user", "free"),
    [(True, "alice", 0), (False, "alice", UNLIMITED), (True, BULK, UNLIMITED)],
    ids=["beside a user without a free processor", "beside a user with a free processor", "beside no user"],
)
def test_bulk_work_computes_one_at_a_time_beside_users(is_full: bool, user: str, free: int) -> None:
    async def run() -> None:
        share = ProcessorShare(cores=4, is_contended=lambda: is_full)
        await compute(share, user)
        with running(COMPUTE) as process:
            bulk = await running_invocation(share, BULK, process, elapsed_s=0.2)
            assert share.free(BULK) == free
            bulk.answer(b"")

            assert share.free(BULK) > 0

    asyncio.run(run())


def test_bulk_work_that_only_waits_holds_no_other_back() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=4, is_contended=lambda: True)
        await compute(share, "alice")
        with running(WAIT) as process:
            assert process.stdout
            process.stdout.readline()
            await running_invocation(share, BULK, process, elapsed_s=0.2)

            assert share.free(BULK) == 1

    asyncio.run(run())


def test_a_users_request_holds_bulk_work_back_before_its_end() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=4, is_contended=lambda: True)
        with running(COMPUTE) as request, running(COMPUTE) as process:
            await running_invocation(share, "alice", request, elapsed_s=0)
            await running_invocation(share, BULK, process, elapsed_s=0)

            assert eventually(lambda: share.free(BULK) == 0, within_s=3)

    asyncio.run(run())


def test_bulk_work_that_computes_for_long_lets_the_next_begin() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=4, is_contended=lambda: True)
        await compute(share, "alice")
        with running(COMPUTE) as process:
            bulk = await running_invocation(share, BULK, process, elapsed_s=0)
            bulk.started_at = time.monotonic() - 6
            assert share.free(BULK) == 1
            await running_invocation(share, BULK, process, elapsed_s=0)

            assert share.free(BULK) == 0

    asyncio.run(run())


def test_bulk_work_takes_no_share_from_users() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=2)
        with running(COMPUTE) as process:
            await running_invocation(share, BULK, process)
            share.see("alice")

            assert (share.free("alice"), share.has_several_users) == (2, False)

    asyncio.run(run())


def test_an_invocation_that_another_waits_for_needs_no_share() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=2)
        queue = FairQueue(share)
        with running(COMPUTE) as process:
            share.see("bob")
            await running_invocation(share, "alice", process)
            queue.put(Invocation(b"", user="alice", is_nested=True))

            assert queue.take(limit=1)

    asyncio.run(run())


def test_the_queue_holds_a_user_back_and_serves_the_others() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=2)
        queue = FairQueue(share)
        with running(COMPUTE) as process:
            share.see("bob")
            await running_invocation(share, "alice", process)
            for user in ("alice", "bob", ""):
                queue.put(Invocation(b"", user=user))

            assert [taken.user for _ in range(3) if (taken := queue.take(limit=9))] == ["bob", ""]
            assert queue.waiting_of_users == 1

    asyncio.run(run())


def test_a_call_of_a_function_counts_for_the_user_of_its_trace() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=2)
        invocation = Invocation(b"", user="alice", trace_id="Root=1")
        with running(WAIT) as process:
            share.begin(invocation, process)

            assert (share.user_of("Root=1"), share.user_of("Root=2"), share.user_of("")) == ("alice", "", "")

    asyncio.run(run())


def test_a_process_that_has_ended_does_not_compute() -> None:
    with running("") as process:
        process.wait()

        assert not is_computing(process.pid)


def test_a_nice_process_has_a_lower_priority() -> None:
    async def run() -> None:
        child = await start_process("sleep", "60", cwd=Path(), environment={"PATH": os.defpath}, niceness=5)
        try:
            assert eventually(lambda: os.getpriority(os.PRIO_PROCESS, child.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 5)
        finally:
            await child.stop()

    asyncio.run(run())


def test_the_time_of_a_process_grows_while_it_computes() -> None:
    with running(COMPUTE) as process:
        assert eventually(lambda: (processor_time_s(process.pid) or 0) > 0.1)
    with running(WAIT) as process:
        assert process.stdout
        process.stdout.readline()
        before_s = processor_time_s(process.pid)

        assert before_s is not None
        assert processor_time_s(process.pid) == before_s
        process.kill()
        process.wait()
        assert processor_time_s(process.pid) is None


def test_processors_are_contended_while_all_of_them_compute() -> None:
    with running(COMPUTE), running(COMPUTE):
        assert eventually(lambda: is_contended(2))

    assert eventually(lambda: not is_contended(1_000))
