"""The tables of `bench.cold`."""

from dataclasses import dataclass, field

from bench.first_answer import Trial
from bench.tables import figure, median, over, table, times, verdict

BARE = "fastapi, mangum"
AIMS = {"authorizer": 0.4, "auth": 1.8, "chat": 2.0}
MEMORY_MB = 110

IMPORT = """\
A fresh process imports the function's `app.py`, which makes its handler; interpreter start not counted. Lambda's layout:
task root, layer, AWS's runtime, the standard library, nothing else. Medians of fresh processes, interleaved; the ratio is
of CPU time, which other work on the machine disturbs less."""
ANSWER = """\
From the start of the process to its request for work (ready) and to the end of its first answer, with the template's
environment, a real PostgreSQL behind whatever pooler there is, moto, and the emulator's own Runtime API. CPU is the
worker's alone, memory its peak. On Lambda ready is the end of the init phase."""


@dataclass
class Cold:
    """What was measured, by build and function. The first build is the one that ships."""

    builds: list[str]
    requests: dict[str, str]
    imports: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)
    answers: dict[tuple[str, str], list[Trial]] = field(default_factory=dict)

    def imported(self, build: str, name: str, wall_ms: float, cpu_ms: float) -> None:
        """Note an import."""
        self.imports.setdefault((build, name), []).append((wall_ms, cpu_ms))

    def answered(self, build: str, name: str, trial: Trial) -> None:
        """Note a first answer."""
        self.answers.setdefault((build, name), []).append(trial)

    def import_ms(self, build: str, name: str) -> float | None:
        """Return the median wall time of an import."""
        return median([wall for wall, _ in self.imports.get((build, name), [])])

    def import_cpu_ms(self, build: str, name: str) -> float | None:
        """Return the median CPU time of an import."""
        return median([cpu for _, cpu in self.imports.get((build, name), [])])

    def beside_bare(self, name: str) -> float | None:
        """Return the ratio of an import's CPU time to the bare import's, as they ship: the median of the rounds' ratios."""
        ours, bare = (self.imports.get((self.builds[0], one), []) for one in (name, BARE))
        return median([a / b for (_, a), (_, b) in zip(ours, bare, strict=True)])


def report(cold: Cold) -> str:
    """Return all tables as Markdown."""
    return f"## A cold start\n\n### Import\n\n{IMPORT}\n\n{_imports(cold)}\n\n### First answer\n\n{ANSWER}\n\n{_answers(cold)}"


def _imports(cold: Cold) -> str:
    shipped, plain = cold.builds
    names = [BARE, *(name for name in cold.requests if (shipped, name) in cold.imports)]
    head = ["", f"ms {shipped}", "CPU ms", "× bare", "aim", "", f"ms {plain}", "CPU ms", "× as it ships"]
    return table(head, [_import_row(cold, name, shipped, plain) for name in names])


def _import_row(cold: Cold, name: str, shipped: str, plain: str) -> list[str]:
    aim, ratio = AIMS.get(name), cold.beside_bare(name)
    return [
        name,
        figure(cold.import_ms(shipped, name)),
        figure(cold.import_cpu_ms(shipped, name)),
        times(ratio),
        f"≤ {aim}×" if aim else "",
        verdict(ratio, at_most=aim) if aim else "",
        figure(cold.import_ms(plain, name)),
        figure(cold.import_cpu_ms(plain, name)),
        times(over(cold.import_ms(plain, name), cold.import_ms(shipped, name))),
    ]


def _answers(cold: Cold) -> str:
    shipped, plain = cold.builds
    head = ["", "first request", "ready ms", "answered ms", "CPU ms", "peak MB", f"≤ {MEMORY_MB} MB"]
    head += [f"answered ms {plain}", "× as it ships"]
    return table(
        head,
        [_answer_row(name, request, cold.answers[shipped, name], cold.answers[plain, name]) for name, request in cold.requests.items()],
    )


def _answer_row(name: str, request: str, shipped: list[Trial], plain: list[Trial]) -> list[str]:
    answered, plain_answered = (median([trial.answered_ms for trial in trials]) for trials in (shipped, plain))
    peak = median([trial.peak_mb for trial in shipped if trial.peak_mb is not None])
    return [
        name,
        request,
        figure(median([trial.ready_ms for trial in shipped])),
        figure(answered),
        figure(median([trial.cpu_ms for trial in shipped])),
        figure(peak),
        verdict(peak, at_most=MEMORY_MB),
        figure(plain_answered),
        times(over(plain_answered, answered)),
    ]
