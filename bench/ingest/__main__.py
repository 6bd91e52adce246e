"""How fast documents are read, and in how much memory: `python -m bench.ingest`. Linux only: memory comes from /proc.

The function's own code reads them, with a real database and moto for S3 and SQS, on one core and without vectors.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import machine
from bench.ingest import files
from bench.ingest.reading import Office, Took, open_office
from bench.tables import figure, median, table, verdict

RESULTS = Path(__file__).parents[1] / "results" / "ingest.md"
PAGES_A_MINUTE = 200
MOST_MB = 512
LARGE_BYTES = 50_000_000
INTRODUCTION = """\
From the message that names a file to a document that is ready, without vectors: fetched, read in the child process, cut and stored.
The function and its child have one core; PostgreSQL and moto run beside it. Processor time is the function's and the child's."""


def run(*, rounds: int) -> str:
    """Measure and return the tables."""
    with TemporaryDirectory(prefix="parley-bench-") as folder, open_office(Path(folder)) as office:
        office.read(b"warm up", "warm.txt")
        return f"{INTRODUCTION}\n\n## Speed\n\n{_speed(office, rounds)}\n\n## Memory\n\n{_memory(office)}"


def _speed(office: Office, rounds: int) -> str:
    books = {name: make(files.pages()) for name, make in files.FORMATS.items()}
    found: dict[str, list[Took]] = {name: [] for name in books}
    for _ in range(rounds):
        for name, content in books.items():
            found[name].append(office.read(content, f"book.{name}"))
    rows = [_row(f"{name}, {len(books[name]) / 1e6:.1f} MB", took) for name, took in found.items()]
    head = [f"{files.PAGES} pages", "chunks", "least s", "p50 s", "CPU s, least", "pages a minute", "of CPU", f"aim ≥ {PAGES_A_MINUTE}"]
    return table(head, rows)


def _row(name: str, took: list[Took]) -> list[str]:
    wall_s, cpu_s = [one.wall_s for one in took], [one.cpu_s for one in took]
    a_minute = 60 * files.PAGES / (median(wall_s) or 1)
    figures = [figure(min(wall_s), digits=2), figure(median(wall_s), digits=2), figure(min(cpu_s), digits=2)]
    speeds = [figure(a_minute, digits=0), figure(60 * files.PAGES / min(cpu_s), digits=0)]
    return [name, str(took[0].chunks), *figures, *speeds, verdict(a_minute, at_least=PAGES_A_MINUTE)]


def _memory(office: Office) -> str:
    rows = []
    for name, make in (("text", files.text_pdf), ("pictures", files.image_pdf)):
        content = make(LARGE_BYTES)
        took = office.read(content, f"{name}.pdf")
        memory = [figure(took.function_mb, digits=0), figure(took.reader_mb, digits=0), figure(took.peak_mb, digits=0)]
        size = f"PDF of {name}, {len(content) / 1e6:.1f} MB"
        rows.append([size, str(took.chunks), figure(took.wall_s), figure(took.cpu_s), *memory, verdict(took.peak_mb, at_most=MOST_MB)])
    return table(["", "chunks", "s", "CPU s", "function MB", "child MB", "both MB", f"aim ≤ {MOST_MB}"], rows)


def main() -> None:
    """Measure, print, and write `bench/results/ingest.md`."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    document = f"# Ingestion\n\n{machine.header()}\n\n{run(rounds=parser.parse_args().rounds)}\n"
    RESULTS.write_text(document)
    print(document)


if __name__ == "__main__":
    main()
