"""CPU time of a further worker of a function that has one: `python -m bench.emulator.further_worker`. Linux only: reads /proc."""

import argparse
import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

from bench.harness import processes
from bench.harness.aims import Figure, Section
from bench.harness.tables import format_figure, median, table, verdict
from local.runtime.launch import launch_from_sources
from local.runtime.pool import Pool
from local.template.load import load
from local.template.stack import Function

FUNCTIONS = ("AuthorizerFunction", "AuthFunction", "ChatFunction", "ConversationFunction", "SummarizeFunction")
MAX_CPU_MS = 100.0
_WORKERS = 5
_SETTLE_S = 0.5
INTRODUCTION = f"""\
The time until a worker of a function can take its first invocation: the first worker, which imports the function, and the
average of {_WORKERS} further workers that start at the same time. CPU is that of all processes of the function."""


class _NoLog:
    """A log that keeps nothing."""

    def output(self, function: str, text: str) -> None: ...

    def platform(self, function: str, text: str) -> None: ...

    def alert(self, function: str, text: str) -> None:
        raise RuntimeError(f"{function}: {text}")


def run(*, rounds: int) -> Section:
    """Measure and return the table and the figure."""
    functions = load(Path("template.yaml"), overrides={"DatabaseAuth": "libpq", "DatabaseTls": "disable"}).functions
    rows, further_ms = [], []
    for name in FUNCTIONS:
        samples = [asyncio.run(_measure(functions[name])) for _ in range(rounds)]
        figures = [median([sample[index] for sample in samples]) for index in range(4)]
        further_ms.append(figures[2])
        rows.append([name.removesuffix("Function").lower(), *map(format_figure, figures), verdict(figures[2], at_most=MAX_CPU_MS)])
    titles = ["function", "first, CPU ms", "first, ms", "further, CPU ms", "further, ms", f"aim ≤ {MAX_CPU_MS:.0f} ms of CPU"]
    text = f"## A further worker\n\n{INTRODUCTION}\n\n" + table(titles, rows)
    worst_ms = max((ms for ms in further_ms if ms is not None), default=None)
    return Section(text, [Figure("CPU of a further worker of a function that has one", worst_ms, "ms", at_most=MAX_CPU_MS)])


async def _measure(function: Function) -> tuple[float, float, float, float]:
    """Return CPU and wall milliseconds of the first worker, and of a further one."""
    environment: Mapping[str, str] = {"AWS_EC2_METADATA_DISABLED": "true"}
    pool = Pool(function, spec=launch_from_sources(function), extra_environment=environment, log=_NoLog(), size=_WORKERS + 1)
    try:
        cpu_ms, wall_ms = await _warm(pool, 1)
        further_cpu_ms, further_wall_ms = await _warm(pool, _WORKERS + 1)
    finally:
        await pool.stop()
    return cpu_ms, wall_ms, further_cpu_ms / _WORKERS, further_wall_ms / _WORKERS


async def _warm(pool: Pool, count: int) -> tuple[float, float]:
    before_ms, began = _children_cpu_ms(), time.perf_counter()
    pool.warm(count)
    await pool.ready()
    wall_ms = (time.perf_counter() - began) * 1000
    # Once a worker is ready, its fork server prepares for the next ones.
    spent_ms = -1.0
    while spent_ms != (spent_ms := _children_cpu_ms()):
        await asyncio.sleep(_SETTLE_S)
    return spent_ms - before_ms, wall_ms


def _children_cpu_ms() -> float:
    own = os.getpid()
    return processes.cpu_ms([pid for pid in processes.tree(own) if pid != own]) or 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    print(run(rounds=parser.parse_args().rounds).text)


if __name__ == "__main__":
    main()
