"""What a warm turn adds to the model's own time, beside others in the same run: `python -m bench.turn`.

The servers take turns within each round, so that a machine that slows down slows all of them.
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

from bench import processes, targets
from bench.figures import MANY, WAYS, Results, Way
from bench.load import Request, Seen
from bench.servers import ServerFailed
from bench.stack import CHAT_HANDLER, workers
from bench.targets import Target
from bench.turn_report import report


@dataclass(frozen=True)
class Options:
    """How long to measure: each of the ways, each server, each round."""

    rounds: int = 3
    seconds: float = 2.0
    has_litellm: bool = True


def run(options: Options) -> str:
    """Measure everything and return the tables."""
    with _running(has_litellm=options.has_litellm) as found:
        for target in found:
            _load(target.request(is_streamed=True), Way(is_streamed=True, clients=MANY), seconds=target.warm_s)
        results = Results([target.name for target in found])
        for number in range(options.rounds):
            _say(f"turn: round {number + 1} of {options.rounds}")
            _round(found, results, seconds=options.seconds)
        for target in found:
            results.peak_mb[target.name] = _peak_mb(target)
        return report(results)


@contextmanager
def _running(*, has_litellm: bool) -> Iterator[list[Target]]:
    """Start all servers; the first one is the upstream of the others."""
    with TemporaryDirectory(prefix="parley-bench-") as name, ExitStack() as started:
        folder = Path(name)
        fake = started.enter_context(targets.upstream(folder))
        base_url = f"{fake.server.url}/v1"
        found = [fake, started.enter_context(targets.passthrough(folder, base_url=base_url))]
        if has_litellm:
            found.append(started.enter_context(targets.litellm(folder, base_url=base_url)))
        else:
            _say("WITHOUT LiteLLM: there is nothing to compare Parley with")
        found.append(started.enter_context(targets.parley(folder, base_url=base_url, users=MANY)))
        yield found


def _round(found: list[Target], results: Results, *, seconds: float) -> None:
    for way in WAYS:
        for target in found:
            request, pids = target.request(is_streamed=way.is_streamed), processes.tree(target.server.pid)
            before_ms = processes.cpu_ms(pids)
            seen = _load(request, way, seconds=seconds)
            if seen.errors:
                raise ServerFailed(f"{target.name} failed {len(seen.errors)} of {seen.requests} requests: {seen.errors[0]}")
            after_ms = processes.cpu_ms(pids)
            spent_ms = None if before_ms is None or after_ms is None else (after_ms - before_ms) / seen.requests
            results.of(target.name, way).note(seen, cpu_ms=spent_ms)


def _load(request: Request, way: Way, *, seconds: float) -> Seen:
    """Run the load generator in a process of its own, as its time is not to be the servers'."""
    command = [sys.executable, "-m", "bench.load", "--url", request.url, "--body", request.body]
    command += ["--clients", str(way.clients), "--seconds", str(seconds)]
    command += [part for key in request.keys for part in ("--key", key)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"the load generator failed at {request.url}:\n{done.stderr[-2000:]}")
    return Seen(**json.loads(done.stdout))


def _peak_mb(target: Target) -> float | None:
    """Return the memory of what would be deployed: for Parley the largest chat worker, without the emulator."""
    pids = workers(target.server).get(CHAT_HANDLER, [target.server.pid])
    return max((peak for pid in pids if (peak := processes.peak_mb(pid)) is not None), default=None)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this measurement."""
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="for each server and way in each round")
    parser.add_argument("--without-litellm", action="store_true")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    arguments(parser)
    given = parser.parse_args()
    print(run(Options(given.rounds, given.seconds, not given.without_litellm)))


if __name__ == "__main__":
    main()
