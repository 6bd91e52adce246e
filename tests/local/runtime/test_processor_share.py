"""The division of the processors among users."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.processes import start_process
from local.runtime.invocation import Invocation
from local.runtime.pool import FairQueue
from local.runtime.processor_share import ProcessorShare, is_computing
from tests.local.running_emulator import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

COMPUTE = "while True: pass"
WAIT = "import time; print('ready', flush=True); time.sleep(60)"


@contextmanager
def running(program: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


async def running_invocation(share: ProcessorShare, user: str, process: subprocess.Popen[bytes]) -> Invocation:
    """Return an invocation that has run for a while."""
    invocation = Invocation(b"", user=user)
    invocation.start()
    share.begin(invocation, process)
    await asyncio.sleep(0.05)
    return invocation


def test_a_user_who_computes_waits_while_another_is_active() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=2)
        with running(COMPUTE) as process:
            await running_invocation(share, "alice", process)
            alone = share.free("alice")
            share.see("bob")

            assert alone > 10
            assert (share.free("alice"), share.free("bob")) == (0, 1)

    asyncio.run(run())


def test_an_invocation_that_only_waits_takes_no_share() -> None:
    async def run() -> None:
        share = ProcessorShare(cores=2)
        with running(WAIT) as process:
            assert process.stdout
            process.stdout.readline()
            share.see("bob")
            await running_invocation(share, "alice", process)

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


def test_a_background_process_has_a_lower_priority() -> None:
    async def run() -> None:
        child = await start_process("sleep", "60", cwd=Path(), environment={"PATH": os.defpath}, is_background=True)
        try:
            assert eventually(lambda: os.getpriority(os.PRIO_PROCESS, child.pid) > os.getpriority(os.PRIO_PROCESS, 0))
        finally:
            await child.stop()

    asyncio.run(run())
