"""The emulator's side of the comparison: `parley up` with a new data folder."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from local import processes
from local.client import FunctionFailed, StackRequestFailed, invoke_function, read_status
from local.parameters import model_api_keys
from local.ports import free_port
from local.processes import ChildProcess
from local.sam_comparison.answers import FunctionAnswer, read_answer
from local.sam_comparison.process import ProcessFailed
from local.services.aws_signature import AwsCredentials

_START_S = 90.0
_STOP_S = 10.0
_IDLE_S = 240.0
_POLL_S = 0.2


@dataclass(frozen=True)
class ComparisonStack:
    """A running stack: the loopback ports of the gateway, of the database or its pooler, of the AWS stand-in, and of the queues."""

    data: Path
    port: int
    database_port: int
    aws_port: int
    queues_port: int

    @property
    def aws_credentials(self) -> AwsCredentials:
        """The credentials of this run, from its data folder."""
        return AwsCredentials.read((self.data / "aws-credentials").read_text(encoding="utf-8"))

    @classmethod
    @asynccontextmanager
    async def started(cls, data: Path, *, root: Path) -> AsyncIterator[Self]:
        """Run the checkout `root` on the new data folder `data` until the end of the block. Raises `ProcessFailed` if it does not start."""
        port = free_port()
        command = (sys.executable, "-m", "local", "up", "--port", str(port), "--data", str(data))
        child = await processes.start_process(*command, cwd=root, environment=_environment(root), death_signal=signal.SIGTERM)
        log = data.with_suffix(".log")
        reading = asyncio.create_task(_log_output(child, log))
        try:
            await _wait_until_ready(child, port, log)
            services = (await asyncio.to_thread(read_status, port))["services"]
            database = services["pgbouncer"] or services["postgres"]
            yield cls(data, port, database["port"], services["aws"]["port"], services["queues"]["port"])
        finally:
            await _stop(child)
            await reading

    async def wait_until_idle(self, *, delayed: str = "") -> None:
        """Wait until no function has a message to process, so that later answers do not depend on the speed of background jobs.

        Delayed messages count only in the queue whose name contains `delayed`. Gives up silently after four minutes.
        """
        ends = time.monotonic() + _IDLE_S
        while time.monotonic() < ends:
            queues = (await asyncio.to_thread(read_status, self.port))["queues"]
            if not any(_has_work(queue, delayed) for queue in queues if queue["dead_letters"]):
                return
            await asyncio.sleep(_POLL_S)

    async def invoke(self, function: str, event: str) -> FunctionAnswer:
        """Return the result of `parley invoke`; an error of the function is a result too."""
        try:
            return read_answer(await asyncio.to_thread(invoke_function, self.port, function, event))
        except FunctionFailed as error:
            return read_answer(error.detail)


def _has_work(queue: Mapping[str, Any], delayed: str) -> bool:
    return bool(queue["visible"] or queue["in_flight"] or (delayed and delayed in queue["name"] and queue["delayed"]))


def _environment(root: Path) -> dict[str, str]:
    """Return the environment without PARLEY variables and model keys, so that both sides use the offline model."""
    keys = model_api_keys(root.glob("layers/*/**/models.toml"))
    return {name: value for name, value in os.environ.items() if name not in keys and not name.startswith("PARLEY_")}


async def _wait_until_ready(child: ChildProcess, port: int, log: Path) -> None:
    reason = "the process ended"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_START_S):
            while not child.has_ended and (reason := await asyncio.to_thread(_failure_reason, port)):
                await asyncio.sleep(_POLL_S)
    if reason:
        raise ProcessFailed("parley up", f"{log.read_text(encoding='utf-8')}\n{reason}")


def _failure_reason(port: int) -> str:
    """Return why the stack does not answer, or an empty string if it answers."""
    try:
        read_status(port)
    except StackRequestFailed as error:
        return str(error)
    return ""


async def _stop(child: ChildProcess) -> None:
    if not child.has_ended:
        child.process.send_signal(signal.SIGINT)
        await asyncio.wait([asyncio.create_task(child.wait())], timeout=_STOP_S)
    await child.stop()


async def _log_output(child: ChildProcess, log: Path) -> None:
    with log.open("wb") as file:
        while data := await child.output.read(65_536):
            file.write(data)
            file.flush()
