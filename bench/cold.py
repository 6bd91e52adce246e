"""What a cold start costs, function by function: `python -m bench.cold`.

Fresh processes, interleaved: first each function's import, beside the bare `import fastapi, mangum`, then its first
answered request.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import processes, targets
from bench.built import Build, builds
from bench.cold_report import BARE, Cold, report
from bench.first_answer import first_answer
from bench.servers import ServerFailed
from bench.stack import People, running_parley, workers
from bench.starts import Start, starts
from bench.timed import timed


def run(*, rounds: int) -> str:
    """Measure everything and return the tables."""
    with TemporaryDirectory(prefix="parley-bench-") as name, _stack(Path(name)) as (found, environments):
        made = builds(Path(name))
        cold = Cold([build.name for build in made], {start.name: start.request for start in found})
        for number in range(rounds + 1):
            print(f"cold: round {number} of {rounds}" if number else "cold: warming up", file=sys.stderr, flush=True)
            for build in made:
                _round(build, found, environments, cold if number else Cold([], {}))
        return report(cold)


@contextmanager
def _stack(folder: Path) -> Iterator[tuple[list[Start], dict[str, dict[str, str]]]]:
    """Run what the functions need; yield the starts and the environment that the emulator gives each handler's workers."""
    with targets.upstream(folder) as fake, running_parley(folder, upstream=f"{fake.server.url}/v1") as server:
        people = People(server, 1)
        found = starts(people)
        environments = {handler: processes.environment(pids[0]) for handler, pids in workers(server).items()}
        if missing := {start.handler for start in found} - environments.keys():
            raise ServerFailed(f"no worker of {', '.join(sorted(missing))} to take the environment from (this needs Linux's /proc)")
        yield found, environments


def _round(build: Build, found: list[Start], environments: Mapping[str, Mapping[str, str]], cold: Cold) -> None:
    cold.imported(build.name, BARE, *timed(build.importing("fastapi, mangum", None), {}))
    for start in found:
        environment = environments[start.handler]
        if start.is_imported:
            cold.imported(build.name, start.name, *timed(build.importing(start.module, start.function), environment))
        command = build.working(start.handler, start.function)
        cold.answered(build.name, start.name, first_answer(command, environment=environment, event=start.event))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    print(run(rounds=parser.parse_args().rounds))


if __name__ == "__main__":
    main()
