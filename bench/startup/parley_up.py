"""The time from `parley up` to its first answer, on new data and on existing data: `python -m bench.startup.parley_up`."""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness.aims import Section
from bench.harness.servers import call
from bench.harness.stack import PASSWORD, running_parley
from bench.harness.tables import format_figure, median, table

INTRODUCTION = """\
From the command to the first `200` of `GET /health`, and to the first response of `POST /auth/login` after that, which
needs the database, the signing keys and a password hash. With new data, PostgreSQL's files, the schema, the signing keys
and a user must be created first; the request is then `POST /auth/register`. Figures are medians."""

_EMAIL = "ada@example.com"


def run(*, rounds: int) -> Section:
    """Measure and return the table."""
    new: list[tuple[float, float]] = []
    existing: list[tuple[float, float]] = []
    for number in range(rounds):
        print(f"start: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        with TemporaryDirectory(prefix="parley-bench-") as folder:
            new.append(_measure_start(Path(folder), "register"))
            existing.append(_measure_start(Path(folder), "login"))
    rows = [["new data", *_medians(new)], ["existing data", *_medians(existing)]]
    return Section(f"## `parley up`\n\n{INTRODUCTION}\n\n" + table(["", "until /health s", "until a token s"], rows))


def _measure_start(folder: Path, operation: str) -> tuple[float, float]:
    """Start and stop the stack; return the seconds until it responds and until a user has a token."""
    began = time.perf_counter()
    with running_parley(folder) as server:
        up_s = time.perf_counter() - began
        status, answer = call(server, "POST", f"/auth/{operation}", {"email": _EMAIL, "password": PASSWORD})
        if status >= 400:
            raise RuntimeError(f"{operation} failed with status {status}: {answer}")
        return up_s, time.perf_counter() - began


def _medians(times_s: list[tuple[float, float]]) -> list[str]:
    return [format_figure(median(column), digits=2) for column in zip(*times_s, strict=True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    print(run(rounds=parser.parse_args().rounds).text)


if __name__ == "__main__":
    main()
