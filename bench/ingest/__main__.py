"""How fast documents are read, and in how much memory: `python -m bench.ingest`. Linux only: memory comes from /proc.

The function's own code reads them, with a real database and moto for S3 and SQS, on one core and without vectors.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness import machine
from bench.harness.tables import format_figure, median, table, verdict
from bench.ingest import files
from bench.ingest.environment import IngestCost, IngestEnvironment, running_ingest_environment

RESULTS = Path(__file__).parents[1] / "results" / "ingest.md"
PAGES_A_MINUTE = 200
MAX_MB = 512
LARGE_BYTES = 50_000_000

INTRODUCTION = """\
From the message that names a file to a document that is ready, without vectors: fetched, read in the child process, cut and stored.
The function and its child have one core; PostgreSQL and moto run beside it. Processor time is the function's and the child's."""


def run(*, rounds: int) -> str:
    """Measure and return the tables."""
    with TemporaryDirectory(prefix="parley-bench-") as folder, running_ingest_environment(Path(folder)) as environment:
        environment.read(b"warm up", "warm.txt")
        return f"{INTRODUCTION}\n\n## Speed\n\n{_speed_table(environment, rounds)}\n\n## Memory\n\n{_memory_table(environment)}"


def _speed_table(environment: IngestEnvironment, rounds: int) -> str:
    books = {name: make(files.pages()) for name, make in files.FORMATS.items()}
    found: dict[str, list[IngestCost]] = {name: [] for name in books}
    for _ in range(rounds):
        for name, content in books.items():
            found[name].append(environment.read(content, f"book.{name}"))
    rows = [_row(f"{name}, {len(books[name]) / 1e6:.1f} MB", cost) for name, cost in found.items()]
    head = [f"{files.PAGES} pages", "chunks", "least s", "p50 s", "CPU s, least", "pages a minute", "of CPU", f"aim ≥ {PAGES_A_MINUTE}"]
    return table(head, rows)


def _row(name: str, cost: list[IngestCost]) -> list[str]:
    wall_s, cpu_s = [one.wall_s for one in cost], [one.cpu_s for one in cost]
    a_minute = 60 * files.PAGES / (median(wall_s) or 1)
    figures = [format_figure(min(wall_s), digits=2), format_figure(median(wall_s), digits=2), format_figure(min(cpu_s), digits=2)]
    speeds = [format_figure(a_minute, digits=0), format_figure(60 * files.PAGES / min(cpu_s), digits=0)]
    return [name, str(cost[0].chunks), *figures, *speeds, verdict(a_minute, at_least=PAGES_A_MINUTE)]


def _memory_table(environment: IngestEnvironment) -> str:
    rows = []
    for name, make in (("text", files.text_pdf), ("pictures", files.image_pdf)):
        content = make(LARGE_BYTES)
        cost = environment.read(content, f"{name}.pdf")
        memory = [format_figure(cost.function_mb, digits=0), format_figure(cost.reader_mb, digits=0), format_figure(cost.peak_mb, digits=0)]
        size = f"PDF of {name}, {len(content) / 1e6:.1f} MB"
        rows.append(
            [size, str(cost.chunks), format_figure(cost.wall_s), format_figure(cost.cpu_s), *memory, verdict(cost.peak_mb, at_most=MAX_MB)]
        )
    return table(["", "chunks", "s", "CPU s", "function MB", "child MB", "both MB", f"aim ≤ {MAX_MB}"], rows)


def main() -> None:
    """Measure, print, and write `bench/results/ingest.md`."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    document = f"# Ingestion\n\n{machine.header()}\n\n{run(rounds=parser.parse_args().rounds)}\n"
    RESULTS.write_text(document)
    print(document)


if __name__ == "__main__":
    main()
