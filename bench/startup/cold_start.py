"""The cost of a cold start for each function: `python -m bench.startup.cold_start`.

Measures fresh processes, interleaved: the import of each function, compared with a bare `import fastapi, mangum`, and the
first request of each function.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness.aims import Figure, Section
from bench.harness.processes import run_timed
from bench.harness.stack import Users, running_parley, worker_environments
from bench.harness.tables import format_figure, format_ratio, median, ratio_of, table, verdict
from bench.startup.build import BUILD, Build, make_builds
from bench.startup.first_answer import FirstAnswer, first_answer
from bench.startup.first_requests import FirstRequest, first_requests
from bench.turns import targets
from local.sam_build.artefacts import ArtefactSize
from local.sam_build.tree import BuildTree

BARE_IMPORT = "fastapi, mangum"
AIMS = {"authorizer": 0.4, "auth": 1.5, "chat": 1.5, "conversation": 1.5}
MEMORY_MB = 100
# What is left of the aims, by `python -X importtime` over the build.
DRIVER = (
    "SQLAlchemy and psycopg, which every function with a database needs, are a quarter to a third of the import (most of SQLAlchemy's "
    "dialects are imported with the one that is used); in auth, PyJWT and cryptography are another tenth. The rest is FastAPI, which is "
    "the yardstick, and the functions' own models and routes."
)
SDK = (
    "The vendor's SDK and botocore are imported with the first call, and take some 200 ms. On Lambda the init phase has a whole core, "
    "and with SnapStart both are part of the snapshot."
)
ARGON = "Argon2 works in 19 MiB by design, and the first login imports botocore to read the signing keys."
SDK_ANSWER = "chat, OpenAI's SDK"

IMPORT = """\
A fresh process imports the function's `app.py`, which creates the handler; the start of the interpreter is not counted. The
search path is Lambda's: task root, layer, AWS's runtime, standard library. Figures are medians of fresh, interleaved
processes. The ratio is of CPU time, which other load on the machine disturbs less."""

ANSWER = """\
Times from the start of the process to its request for work (ready) and to the end of its first response, with the template's
environment, a real PostgreSQL (behind PgBouncer if installed), moto, and the emulator's Runtime API. CPU time and peak
memory are those of the worker. On Lambda, ready is the end of the init phase."""


@dataclass
class ColdStarts:
    """Measurements by build and function; the first build is the shipped one."""

    builds: list[str]
    requests: dict[str, str]
    imports: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)
    answers: dict[tuple[str, str], list[FirstAnswer]] = field(default_factory=dict)

    def add_import(self, build: str, name: str, wall_ms: float, cpu_ms: float) -> None:
        """Record an import."""
        self.imports.setdefault((build, name), []).append((wall_ms, cpu_ms))

    def add_answer(self, build: str, name: str, trial: FirstAnswer) -> None:
        """Record a first answer."""
        self.answers.setdefault((build, name), []).append(trial)

    def import_ms(self, build: str, name: str) -> float | None:
        """Return the median wall time of an import."""
        return median([wall for wall, _ in self.imports.get((build, name), [])])

    def import_cpu_ms(self, build: str, name: str) -> float | None:
        """Return the median CPU time of an import."""
        return median([cpu for _, cpu in self.imports.get((build, name), [])])

    def ratio_to_bare(self, name: str) -> float | None:
        """Return the median ratio, over the rounds, of a function's import to the bare import, by CPU time in the shipped build."""
        ours, bare = (self.imports.get((self.builds[0], module), []) for module in (name, BARE_IMPORT))
        return median([a / b for (_, a), (_, b) in zip(ours, bare, strict=True)])


def report(cold: ColdStarts) -> str:
    """Return all tables as Markdown."""
    return f"## A cold start\n\n### Import\n\n{IMPORT}\n\n{_imports(cold)}\n\n### First answer\n\n{ANSWER}\n\n{_answers(cold)}"


def figures(cold: ColdStarts) -> list[Figure]:
    """Return the figures that have aims."""
    answers = {name: cold.answers.get((cold.builds[0], name), []) for name in ("auth", SDK_ANSWER)}
    peaks = {name: median([trial.peak_mb for trial in trials if trial.peak_mb is not None]) for name, trials in answers.items()}
    layers = sum(ArtefactSize.of(layer.parent).zipped for layer in BuildTree(BUILD).attached_layers.values())
    return [
        *(
            Figure(f"import of {name}, beside bare FastAPI and Mangum", cold.ratio_to_bare(name), "×", at_most=AIMS[name], reason=DRIVER)
            for name in ("auth", "chat", "conversation")
        ),
        Figure(
            "first answer of a fresh chat worker with a vendor's SDK",
            median([trial.answered_ms for trial in answers[SDK_ANSWER]]),
            "ms",
            at_most=600,
            reason=SDK,
        ),
        Figure("memory of a chat worker after its first answer", peaks[SDK_ANSWER], "MB", at_most=MEMORY_MB, reason=SDK),
        Figure("memory of an auth worker after its first login", peaks["auth"], "MB", at_most=MEMORY_MB, reason=ARGON),
        Figure("layer, zipped", layers / 1e6, "MB", at_most=20),
    ]


def _imports(cold: ColdStarts) -> str:
    shipped, plain = cold.builds
    names = [BARE_IMPORT, *(name for name in cold.requests if (shipped, name) in cold.imports)]
    head = ["", f"ms {shipped}", "CPU ms", "× bare", "aim", "", f"ms {plain}", "CPU ms", "× as shipped"]
    return table(head, [_import_row(cold, name, shipped, plain) for name in names])


def _import_row(cold: ColdStarts, name: str, shipped: str, plain: str) -> list[str]:
    aim, ratio = AIMS.get(name), cold.ratio_to_bare(name)
    return [
        name,
        format_figure(cold.import_ms(shipped, name)),
        format_figure(cold.import_cpu_ms(shipped, name)),
        format_ratio(ratio),
        f"≤ {aim}×" if aim else "",
        verdict(ratio, at_most=aim) if aim else "",
        format_figure(cold.import_ms(plain, name)),
        format_figure(cold.import_cpu_ms(plain, name)),
        format_ratio(ratio_of(cold.import_ms(plain, name), cold.import_ms(shipped, name))),
    ]


def _answers(cold: ColdStarts) -> str:
    shipped, plain = cold.builds
    head = ["", "first request", "ready ms", "answered ms", "CPU ms", "peak MB", f"≤ {MEMORY_MB} MB"]
    head += [f"answered ms {plain}", "× as shipped"]
    return table(
        head,
        [_answer_row(name, request, cold.answers[shipped, name], cold.answers[plain, name]) for name, request in cold.requests.items()],
    )


def _answer_row(name: str, request: str, shipped: list[FirstAnswer], plain: list[FirstAnswer]) -> list[str]:
    answered, plain_answered = (median([trial.answered_ms for trial in trials]) for trials in (shipped, plain))
    peak = median([trial.peak_mb for trial in shipped if trial.peak_mb is not None])
    return [
        name,
        request,
        format_figure(median([trial.ready_ms for trial in shipped])),
        format_figure(answered),
        format_figure(median([trial.cpu_ms for trial in shipped])),
        format_figure(peak),
        verdict(peak, at_most=MEMORY_MB),
        format_figure(plain_answered),
        format_ratio(ratio_of(plain_answered, answered)),
    ]


def run(*, rounds: int) -> Section:
    """Measure everything and return the tables and figures."""
    with TemporaryDirectory(prefix="parley-bench-") as name:
        builds = make_builds(Path(name))
        with _running_functions(Path(name)) as (users, environments):
            cold = ColdStarts([build.name for build in builds], {request.name: request.request for request in first_requests(users)})
            for number in range(rounds + 1):
                print(f"cold: round {number} of {rounds}" if number else "cold: warming up", file=sys.stderr, flush=True)
                for build in builds:
                    requests = first_requests(users)  # each time, because its token is valid for ten minutes
                    _measure_round(build, requests, environments, cold if number else ColdStarts([], {}))
        return Section(report(cold), figures(cold))


@contextmanager
def _running_functions(folder: Path) -> Iterator[tuple[Users, dict[str, dict[str, str]]]]:
    """Run the stack; yield a registered user and the environment of the workers by handler."""
    with targets.upstream(folder) as fake, running_parley(folder, upstream=f"{fake.server.url}/v1") as server:
        users = Users(server, 1)
        yield users, worker_environments(server, {request.handler for request in first_requests(users)})


def _measure_round(build: Build, requests: list[FirstRequest], environments: Mapping[str, Mapping[str, str]], cold: ColdStarts) -> None:
    cold.add_import(build.name, BARE_IMPORT, *run_timed(build.import_command(BARE_IMPORT, None), {}))
    for request in requests:
        environment = environments[request.handler]
        if request.is_imported:
            cold.add_import(build.name, request.name, *run_timed(build.import_command(request.module, request.function), environment))
        command = build.worker_command(request.handler, request.function)
        cold.add_answer(build.name, request.name, first_answer(command, environment=environment, event=request.event))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    print(run(rounds=parser.parse_args().rounds).text)


if __name__ == "__main__":
    main()
