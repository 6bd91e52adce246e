"""Processes that the emulator keeps running."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import pytest

from local.processes import start_process
from local.services.supervisor import SupervisedProcess

LIMIT_S = 60
TALKS = (
    "import pathlib, sys, time; sys.stdout.write('x' * 1_000_000); sys.stdout.flush(); pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's device for a full disk")
def test_a_process_whose_output_cannot_be_stored_does_not_wait(tmp_path: Path) -> None:
    said = tmp_path / "said"

    async def run() -> None:
        async def is_ready(_: object) -> bool:
            return True

        def launch():
            return start_process(sys.executable, "-c", TALKS, str(said), cwd=tmp_path, environment={"PATH": os.defpath})

        talker = SupervisedProcess("talker", launch=launch, ready=is_ready, log=Path("/dev/full"), report=print)
        await talker.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT_S):
                while not said.exists():
                    await asyncio.sleep(0.05)
        await talker.stop()

    asyncio.run(run())

    assert said.exists()
