"""Speed and memory of document ingestion: `python -m bench.ingest`. Linux only: memory comes from /proc.

Runs the deployed function's code on one core, with a real PostgreSQL, with moto for S3 and SQS, and without embeddings.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness import machine
from bench.harness.tables import format_figure, median, table, verdict
from bench.ingest import files
from bench.ingest.environment import IngestCost, IngestEnvironment, running_ingest_environment

RESULTS = Path(__file__).parents[1] / "results" / "ingest.md"
PAGES_PER_MINUTE = 200
MAX_MB = 512
LARGE_BYTES = 50_000_000

INTRODUCTION = """\
From the S3 notification to a ready document, without embeddings: fetched, parsed in the child process, chunked and stored.
The function and its child share one core; PostgreSQL and moto run on others. CPU time is that of function and child."""


def run(*, rounds: int) -> str:
    """Measure and return the tables."""
    with TemporaryDirectory(prefix="parley-bench-") as folder, running_ingest_environment(Path(folder)) as environment:
        environment.read(b"warm up", "warm.txt")
        return f"{INTRODUCTION}\n\n## Speed\n\n{_speed_table(environment, rounds)}\n\n## Memory\n\n{_memory_table(environment)}"


def _speed_table(environment: IngestEnvironment, rounds: int) -> str:
    books = {name: make(files.pages()) for name, make in files.FORMATS.items()}
    costs: dict[str, list[IngestCost]] = {name: [] for name in books}
    for _ in range(rounds):
        for name, content in books.items():
            costs[name].append(environment.read(content, f"book.{name}"))
    rows = [_row(f"{name}, {len(books[name]) / 1e6:.1f} MB", cost) for name, cost in costs.items()]
    head = [f"{files.PAGES} pages", "chunks", "min s", "p50 s", "min CPU s", "pages/min", "pages/min CPU", f"aim ≥ {PAGES_PER_MINUTE}"]
    return table(head, rows)


def _row(name: str, costs: list[IngestCost]) -> list[str]:
    wall_s = [cost.wall_s for cost in costs]
    cpu_s = [cost.cpu_s for cost in costs]
    per_minute = 60 * files.PAGES / (median(wall_s) or 1)
    figures = [format_figure(min(wall_s), digits=2), format_figure(median(wall_s), digits=2), format_figure(min(cpu_s), digits=2)]
    speeds = [format_figure(per_minute, digits=0), format_figure(60 * files.PAGES / min(cpu_s), digits=0)]
    return [name, str(costs[0].chunks), *figures, *speeds, verdict(per_minute, at_least=PAGES_PER_MINUTE)]


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
