"""The latency that a warm turn adds to the model's own time, compared with other servers: `python -m bench.turns.latency`.

The servers alternate within each round, so that a slow machine affects all of them equally. Each load begins when the machine is idle:
a stack's follow-up work counts in its own processor time, not in the latency of the next server.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness import machine, processes
from bench.harness.aims import Section
from bench.harness.load import LoadResult, Request
from bench.harness.servers import ServerFailed
from bench.harness.stack import CHAT_HANDLER, workers
from bench.turns import targets
from bench.turns.latency_report import MANY_CLIENTS, REQUEST_MODES, LatencyResults, RequestMode, figures, report
from bench.turns.targets import Target


@dataclass(frozen=True)
class Options:
    """The number of rounds, the seconds of load for each server and request mode in a round, and whether to include the rivals."""

    rounds: int = 3
    seconds: float = 2.0
    has_litellm: bool = True
    has_portkey: bool = True


def run(options: Options) -> Section:
    """Measure everything and return the tables and figures."""
    with _running_targets(options) as running_targets:
        for target in running_targets:
            _run_load(target.request(is_streamed=True), RequestMode(is_streamed=True, clients=MANY_CLIENTS), seconds=target.warm_s)
        results = LatencyResults([target.name for target in running_targets])
        for number in range(options.rounds):
            _log(f"turn: round {number + 1} of {options.rounds}")
            _measure_round(running_targets, results, seconds=options.seconds)
        for target in running_targets:
            results.peak_mb[target.name] = _peak_mb(target)
        return Section(report(results), figures(results))


@contextmanager
def _running_targets(options: Options) -> Iterator[list[Target]]:
    """Start all servers; the first is the upstream of the others."""
    with TemporaryDirectory(prefix="parley-bench-") as name, ExitStack() as started:
        folder = Path(name)
        fake = started.enter_context(targets.upstream(folder))
        base_url = f"{fake.server.url}/v1"
        running = [fake, started.enter_context(targets.passthrough(folder, base_url=base_url))]
        if options.has_litellm:
            running.append(started.enter_context(targets.litellm(folder, base_url=base_url)))
        else:
            _log("SKIPPED: without LiteLLM, the comparison is missing")
        if options.has_portkey and not (obstacle := targets.portkey_obstacle()):
            running.append(started.enter_context(targets.portkey(folder, base_url=base_url)))
        else:
            _log(f"SKIPPED: without Portkey ({obstacle if options.has_portkey else 'as asked'}), its comparison is missing")
        running.append(started.enter_context(targets.parley(folder, base_url=base_url, users=MANY_CLIENTS)))
        yield running


def _measure_round(running: list[Target], results: LatencyResults, *, seconds: float) -> None:
    for mode in REQUEST_MODES:
        for target in running:
            request = target.request(is_streamed=mode.is_streamed)
            machine.wait_until_idle()
            pids = processes.tree(target.server.pid)
            before_ms = processes.cpu_ms(pids)
            load = _run_load(request, mode, seconds=seconds)
            if load.errors:
                raise ServerFailed(f"{target.name} failed {len(load.errors)} of {load.requests} requests: {load.errors[0]}")
            after_ms = processes.cpu_ms(pids)
            spent_ms = None if before_ms is None or after_ms is None else (after_ms - before_ms) / load.requests
            results.of(target.name, mode).add_round(load, cpu_ms=spent_ms)


def _run_load(request: Request, mode: RequestMode, *, seconds: float) -> LoadResult:
    """Run the load generator in a separate process, so that its CPU time is not counted."""
    command = [sys.executable, "-m", "bench.harness.load", "--url", request.url, "--body", request.body]
    command += ["--clients", str(mode.clients), "--seconds", str(seconds)]
    command += [part for key in request.keys for part in ("--key", key)]
    command += [part for header in request.headers for part in ("--header", header)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"the load generator failed at {request.url}:\n{done.stderr[-2000:]}")
    return LoadResult(**json.loads(done.stdout))


def _peak_mb(target: Target) -> float | None:
    """Return the peak memory of the part that would be deployed. For Parley, it is the largest chat worker, without the emulator."""
    pids = workers(target.server).get(CHAT_HANDLER, [target.server.pid])
    return max((peak for pid in pids if (peak := processes.peak_mb(pid)) is not None), default=None)


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this measurement."""
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="for each server and request mode in each round")
    parser.add_argument("--without-litellm", action="store_true")
    parser.add_argument("--without-portkey", action="store_true")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    args = parser.parse_args()
    print(run(Options(args.rounds, args.seconds, not args.without_litellm, not args.without_portkey)).text)


if __name__ == "__main__":
    main()
