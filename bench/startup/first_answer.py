"""Time the first answer of a worker: a fresh process of AWS's runtime client on the emulator's Runtime API."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

from bench.harness import processes
from bench.harness.servers import ServerFailed
from local.runtime.api import RuntimeApi
from local.runtime.invocation import Invocation
from local.runtime.outcome import Failure, HandlerResult, Stream

_LIMIT_S = 60.0


@dataclass(frozen=True)
class FirstAnswer:
    """Times from the start of the process. `ready_ms` ends at its first request for work, and `answered_ms` at its answer."""

    ready_ms: float
    answered_ms: float
    cpu_ms: float
    peak_mb: float | None


class _SingleInvocationHost:
    """Hands out one invocation and records the times."""

    function_arn = "arn:aws:lambda:eu-west-1:000000000000:function:bench"
    timeout_s = _LIMIT_S

    def __init__(self, event: bytes) -> None:
        self.invocation = Invocation(event)
        self.is_over = asyncio.Event()
        self.ready_at = self.answered_at = 0.0

    async def next_invocation(self) -> Invocation:
        if self.ready_at:
            await asyncio.Event().wait()  # there is no second invocation
        self.ready_at = time.perf_counter()
        return self.invocation

    def current(self, invocation_id: str) -> Invocation | None:
        return self.invocation if invocation_id == self.invocation.id else None

    def answered(self, invocation: Invocation) -> None:  # noqa: ARG002 - there is only one invocation
        self.answered_at = time.perf_counter()
        self.is_over.set()

    def deadline_ms(self) -> int:
        return int((time.time() + self.timeout_s) * 1000)

    def init_failed(self, failure: Failure) -> None:
        self.invocation.fail(failure)
        self.is_over.set()


def first_answer(command: Sequence[str], *, environment: Mapping[str, str], event: Any) -> FirstAnswer:
    """Start a worker, wait for its answer, and kill it. Raises `ServerFailed` unless the answer is a success."""
    return asyncio.run(_first_answer(command, environment, json.dumps(event).encode()))


async def _first_answer(command: Sequence[str], environment: Mapping[str, str], event: bytes) -> FirstAnswer:
    host = _SingleInvocationHost(event)
    api = RuntimeApi(host)
    variables = {**environment, "AWS_LAMBDA_RUNTIME_API": await api.open()}
    with TemporaryFile() as output:
        began = time.perf_counter()
        worker = subprocess.Popen(command, env=variables, stdout=output, stderr=subprocess.STDOUT)
        try:
            async with asyncio.timeout(_LIMIT_S):
                await host.is_over.wait()
            peak_mb = processes.peak_mb(worker.pid)
        finally:
            cpu_ms = _kill(worker)
            api.close()
        if failure := await _failure_of(host.invocation):
            output.seek(0)
            raise ServerFailed(f"{' '.join(command)}: {failure}\n{output.read().decode(errors='replace')[-2000:]}")
    return FirstAnswer((host.ready_at - began) * 1000, (host.answered_at - began) * 1000, cpu_ms, peak_mb)


def _kill(worker: subprocess.Popen[bytes]) -> float:
    """Kill the worker and return its CPU time in milliseconds."""
    worker.kill()
    _, status, usage = os.wait4(worker.pid, 0)
    worker.returncode = status
    return (usage.ru_utime + usage.ru_stime) * 1000


async def _failure_of(invocation: Invocation) -> str | None:
    """Return the failure or the unsuccessful response of the invocation, or None if it succeeded."""
    outcome = await invocation.outcome
    if isinstance(outcome, Failure):
        return f"{outcome.error_type}: {outcome.message}"
    whole = outcome.payload if isinstance(outcome, HandlerResult) else await _read_stream(outcome)
    answer = json.loads(whole.partition(bytes(8))[0])
    is_success = 200 <= answer.get("statusCode", 200) < 300 and b"turn.failed" not in whole
    return None if is_success else whole.decode(errors="replace")


async def _read_stream(stream: Stream) -> bytes:
    return b"".join([chunk async for chunk in stream])
