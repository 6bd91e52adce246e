"""A worker's first answer: a fresh process of AWS's runtime client on the emulator's Runtime API."""

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
    """What a first answer took since its process was started; `ready_ms` is when it asked for work."""

    ready_ms: float
    answered_ms: float
    cpu_ms: float
    peak_mb: float | None


class _Host:
    """Hands out one invocation and notes when things happen."""

    function_arn = "arn:aws:lambda:eu-west-1:000000000000:function:bench"
    timeout_s = _LIMIT_S

    def __init__(self, event: bytes) -> None:
        self.invocation = Invocation(event)
        self.is_over = asyncio.Event()
        self.ready_at = self.answered_at = 0.0

    async def next_invocation(self) -> Invocation:
        if self.ready_at:
            await asyncio.Event().wait()  # it gets no second one
        self.ready_at = time.perf_counter()
        return self.invocation

    def current(self, invocation_id: str) -> Invocation | None:
        return self.invocation if invocation_id == self.invocation.id else None

    def answered(self, invocation: Invocation) -> None:  # noqa: ARG002 - there is only one
        self.answered_at = time.perf_counter()
        self.is_over.set()

    def deadline_ms(self) -> int:
        return int((time.time() + self.timeout_s) * 1000)

    def init_failed(self, failure: Failure) -> None:
        self.invocation.fail(failure)
        self.is_over.set()


def first_answer(command: Sequence[str], *, environment: Mapping[str, str], event: Any) -> FirstAnswer:
    """Start a worker, wait for its answer and end it. Raises ServerFailed unless the answer is a good one."""
    return asyncio.run(_first_answer(command, environment, json.dumps(event).encode()))


async def _first_answer(command: Sequence[str], environment: Mapping[str, str], event: bytes) -> FirstAnswer:
    host = _Host(event)
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
            cpu_ms = _end(worker)
            api.close()
        if trouble := await _failure_of(host.invocation):
            output.seek(0)
            raise ServerFailed(f"{' '.join(command)}: {trouble}\n{output.read().decode(errors='replace')[-2000:]}")
    return FirstAnswer((host.ready_at - began) * 1000, (host.answered_at - began) * 1000, cpu_ms, peak_mb)


def _end(worker: subprocess.Popen[bytes]) -> float:
    """Kill the worker and return the CPU milliseconds that it has used."""
    worker.kill()
    _, status, usage = os.wait4(worker.pid, 0)
    worker.returncode = status
    return (usage.ru_utime + usage.ru_stime) * 1000


async def _failure_of(invocation: Invocation) -> str | None:
    """Say what is wrong with the answer: a failure, or an HTTP status that is none of success."""
    outcome = await invocation.outcome
    if isinstance(outcome, Failure):
        return f"{outcome.error_type}: {outcome.message}"
    whole = outcome.payload if isinstance(outcome, HandlerResult) else await _read_stream(outcome)
    answer = json.loads(whole.partition(bytes(8))[0])
    is_good = 200 <= answer.get("statusCode", 200) < 300 and b"turn.failed" not in whole
    return None if is_good else whole.decode(errors="replace")


async def _read_stream(stream: Stream) -> bytes:
    return b"".join([chunk async for chunk in stream])
