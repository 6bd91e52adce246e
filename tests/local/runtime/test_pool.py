"""Pools with real worker processes."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from local.runtime.invocation import Invocation
from local.runtime.launch import launch_from_sources
from local.runtime.outcome import Failure, HandlerResult, Outcome, Stream, StreamBroken
from local.runtime.pool import Pool
from local.runtime.processor_share import ProcessorShare
from local.template.stack import Function, Stack
from tests.local.running_emulator import eventually


class RecordingLog:
    """A log that records its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def output(self, function: str, text: str) -> None:
        self.lines.append(text)

    platform = alert = output


def with_pool(function: Function, test: Callable[[Pool], Awaitable[Any]], *, size: int = 10, share: ProcessorShare | None = None) -> Any:
    """Run an async test with a pool and stop the pool afterwards."""

    async def run() -> Any:
        pool = Pool(function, spec=launch_from_sources(function), extra_environment={}, log=RecordingLog(), size=size, share=share)
        try:
            return await asyncio.wait_for(test(pool), 30)
        finally:
            await asyncio.wait_for(pool.stop(), 10)

    return asyncio.run(run())


class Elsewhere:
    """The process of a worker in another pool."""

    pid = None


def sleep(pool: Pool, seconds: float, *, user: str = "") -> Awaitable[Outcome]:
    return pool.submit(json.dumps({"seconds": seconds}).encode(), user=user).outcome


def pid(outcome: Outcome) -> int:
    assert isinstance(outcome, HandlerResult), outcome
    return int(json.loads(outcome.payload)["body"])


def test_invocations_at_the_same_time_run_on_workers_of_their_own(stack: Stack) -> None:
    async def run(pool: Pool) -> None:
        outcomes = await asyncio.gather(*(sleep(pool, 0.5) for _ in range(3)))

        assert len({pid(outcome) for outcome in outcomes}) == 3

    with_pool(stack.functions["SlowFunction"], run)


def test_beyond_the_cap_invocations_wait_their_turn(stack: Stack) -> None:
    async def run(pool: Pool) -> None:
        outcomes = await asyncio.gather(*(sleep(pool, 0.05) for _ in range(6)))

        assert len({pid(outcome) for outcome in outcomes}) == 2
        assert pool.counts.invocations == 6

    with_pool(stack.functions["SlowFunction"], run, size=2)


def test_an_invocation_whose_users_share_was_taken_while_the_worker_started_runs_later(stack: Stack) -> None:
    share = ProcessorShare(cores=1)

    async def run(pool: Pool) -> None:
        held = sleep(pool, 0, user="ada")
        computing, other = Invocation(b"", user="ada"), Invocation(b"", user="bob")
        share.begin(computing, Elsewhere())
        share.begin(other, Elsewhere())
        while pool.states()["idle"] == 0:
            await asyncio.sleep(0.01)
        assert not held.done()
        computing.answer(b"")

        assert pid(await held)

    with_pool(stack.functions["SlowFunction"], run, share=share)


def test_one_user_leaves_a_started_worker_to_another(stack: Stack) -> None:
    async def run(pool: Pool) -> None:
        started = {pid(outcome) for outcome in await asyncio.gather(*(sleep(pool, 0.5) for _ in range(2)))}
        await sleep(pool, 0, user="bob")
        long = [asyncio.ensure_future(sleep(pool, 2, user="alice")) for _ in range(3)]
        await asyncio.sleep(0.2)

        assert pid(await sleep(pool, 0, user="bob")) in started
        assert not any(one.done() for one in long)

    with_pool(stack.functions["SlowFunction"], run, size=4)


def test_thirty_long_requests_of_one_user_do_not_delay_another(stack: Stack) -> None:
    async def run(pool: Pool) -> None:
        await asyncio.gather(*(sleep(pool, 0.5) for _ in range(3)))
        long = [asyncio.ensure_future(sleep(pool, 2, user="alice")) for _ in range(30)]
        await asyncio.sleep(0.1)
        await sleep(pool, 0, user="bob")

        assert not any(one.done() for one in long)
        assert pool.states()["busy"] == 2

    with_pool(stack.functions["SlowFunction"], run, size=3)


def test_a_users_waiting_requests_run_when_the_running_ones_end(stack: Stack) -> None:
    async def run(pool: Pool) -> None:
        outcomes = await asyncio.gather(*(sleep(pool, 0.05, user="alice") for _ in range(6)))

        assert len({pid(outcome) for outcome in outcomes}) == 2

    with_pool(stack.functions["SlowFunction"], run, size=3)


class FlickeringShare(ProcessorShare):
    """Refuses at the second look only, as if a worker had computed for a moment."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def free(self, user: str) -> int:
        self.looks += 1
        return 0 if self.looks == 2 else 1


def test_an_invocation_held_back_for_a_moment_is_not_forgotten(stack: Stack) -> None:
    async def run(pool: Pool) -> None:
        pool._share = pool._queue._share = FlickeringShare()

        assert pid(await asyncio.wait_for(sleep(pool, 0, user="alice"), 20))

    with_pool(stack.functions["SlowFunction"], run)


def test_one_after_the_other_the_same_worker_serves(stack: Stack) -> None:
    async def run(pool: Pool) -> None:
        assert len({pid(await sleep(pool, 0)) for _ in range(20)}) == 1

    with_pool(stack.functions["SlowFunction"], run)


def test_an_idle_worker_that_was_killed_is_not_given_work(stack: Stack) -> None:
    async def run(pool: Pool) -> None:
        first = pid(await sleep(pool, 0))
        os.kill(first, signal.SIGKILL)
        await asyncio.sleep(0.1)

        assert pid(await sleep(pool, 0)) != first

    with_pool(stack.functions["SlowFunction"], run)


def test_replacing_lets_the_running_ones_end(stack: Stack) -> None:
    async def run(pool: Pool) -> None:
        old = {pid(outcome) for outcome in await asyncio.gather(sleep(pool, 0.3), sleep(pool, 0.3))}
        running = sleep(pool, 0.5)
        await asyncio.sleep(0.1)
        pool.replace(launch_from_sources(pool.function))

        assert pid(await sleep(pool, 0)) not in old
        assert pid(await running) in old

    with_pool(stack.functions["SlowFunction"], run)


def test_a_module_that_is_mended_works_at_the_next_invocation(tmp_path: Path) -> None:
    (tmp_path / "mended.py").write_text("def handler(event, context)\n    return event\n")

    async def run(pool: Pool) -> None:
        broken = await pool.submit(b"1").outcome
        (tmp_path / "mended.py").write_text("def handler(event, context):\n    return event\n")

        assert isinstance(broken, Failure)
        assert (broken.error_type, "line" in broken.message) == ("Runtime.UserCodeSyntaxError", True)
        assert await pool.submit(b"[1]").outcome == HandlerResult(b"[1]")

    with_pool(Function(name="Mended", handler="mended.handler", root=tmp_path, folder=tmp_path), run)


def test_a_worker_that_cannot_even_start_fails_its_invocation(tmp_path: Path) -> None:
    async def run(pool: Pool) -> None:
        outcome = await pool.submit(b"{}").outcome

        assert isinstance(outcome, Failure)
        assert "the worker cannot start" in outcome.message

    with_pool(Function(name="Gone", handler="gone.handler", root=tmp_path / "gone", folder=tmp_path), run)


def test_stopping_leaves_no_process_not_even_a_grandchild(tmp_path: Path) -> None:
    program = "import subprocess, sys\ndef handler(event, context):\n    return subprocess.Popen(['sleep', '60']).pid\n"
    (tmp_path / "parent.py").write_text(program)

    async def run(pool: Pool) -> int:
        outcome = await pool.submit(b"{}").outcome
        assert isinstance(outcome, HandlerResult)
        return int(outcome.payload)

    grandchild = with_pool(Function(name="Parent", handler="parent.handler", root=tmp_path, folder=tmp_path), run)

    assert eventually(lambda: not is_alive(grandchild))


def is_alive(process: int) -> bool:
    """Return whether a process runs; a zombie does not count."""
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_process_that_the_worker_left_behind_does_not_hold_up_its_end(tmp_path: Path) -> None:
    program = """
import os, subprocess
def handler(event, context):
    child = subprocess.Popen(["sleep", "20"], start_new_session=True)
    open("pid", "w").write(str(child.pid))
    os._exit(5)
"""
    (tmp_path / "leaver.py").write_text(program)

    async def run(pool: Pool) -> Outcome:
        return await asyncio.wait_for(pool.submit(b"{}").outcome, 10)

    outcome = with_pool(Function(name="Leaver", handler="leaver.handler", root=tmp_path, folder=tmp_path, timeout_s=60), run)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    assert outcome == Failure("Runtime.ExitError", "Runtime exited with error: exit status 5")


def test_what_a_worker_sent_before_it_ended_is_relayed(tmp_path: Path) -> None:
    program = """
import os, pathlib, socket, time
def handler(event, context):
    host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
    head = f"POST /2018-06-01/runtime/invocation/{context.aws_request_id}/response HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n"
    open("ready", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.01)
    streams = "Lambda-Runtime-Function-Response-Mode: streaming\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
    connection = socket.create_connection((host, int(port)))
    connection.sendall(f"{head}{streams}5\\r\\nfirst\\r\\n".encode())
    os._exit(5)
"""
    (tmp_path / "quitter.py").write_text(program)

    async def run(pool: Pool) -> None:
        outcome = pool.submit(b"{}").outcome
        while not (tmp_path / "ready").exists():
            await asyncio.sleep(0.01)
        (tmp_path / "go").touch()
        # The event loop is busy meanwhile, so it learns of the response and of the worker's end at the same time.
        time.sleep(1)
        stream = await outcome
        assert isinstance(stream, Stream), stream
        chunks = []
        with pytest.raises(StreamBroken, match="exit status 5"):
            async for chunk in stream:
                chunks.append(chunk)
        assert chunks == [b"first"]

    with_pool(Function(name="Quitter", handler="quitter.handler", root=tmp_path, folder=tmp_path, timeout_s=60), run)


def test_long_lines_of_output_are_kept_whole(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text("def handler(event, context):\n    print('x' * 300_000)\n")
    function = Function(name="Loud", handler="loud.handler", root=tmp_path, folder=tmp_path)

    async def run(pool: Pool) -> None:
        await pool.submit(b"{}").outcome
        log = pool._log
        assert isinstance(log, RecordingLog)
        while not any(len(line) == 300_000 for line in log.lines):
            await asyncio.sleep(0.02)

    with_pool(function, run)
