"""The time from `parley up` to its first answer, on new data and on existing data: `python -m bench.startup.parley_up`."""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness.servers import call
from bench.harness.stack import PASSWORD, running_parley
from bench.harness.tables import format_figure, median, table

INTRODUCTION = """\
From the command to the first `200` of `GET /health`, and to the first answer of `POST /auth/login` after it, which
needs the database, the signing keys and a password's hash. New data means that PostgreSQL's files, the schema, the
signing keys and a user have yet to be made; its first answer is `POST /auth/register`. Medians."""

_EMAIL = "ada@example.com"


def run(*, rounds: int) -> str:
    """Measure and return the table."""
    new: list[tuple[float, float]] = []
    known: list[tuple[float, float]] = []
    for number in range(rounds):
        print(f"start: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        with TemporaryDirectory(prefix="parley-bench-") as folder:
            new.append(_measure_start(Path(folder), "register"))
            known.append(_measure_start(Path(folder), "login"))
    rows = [["new data", *_medians(new)], ["data it has", *_medians(known)]]
    return f"## `parley up`\n\n{INTRODUCTION}\n\n" + table(["", "to /health s", "to a token s"], rows)


def _measure_start(folder: Path, how: str) -> tuple[float, float]:
    """Start the stack and stop it again; return the seconds until it answers and until somebody is signed in."""
    began = time.perf_counter()
    with running_parley(folder) as server:
        up_s = time.perf_counter() - began
        status, answer = call(server, "POST", f"/auth/{how}", {"email": _EMAIL, "password": PASSWORD})
        if status >= 400:
            raise RuntimeError(f"{how} was answered with {status}: {answer}")
        return up_s, time.perf_counter() - began


def _medians(found: list[tuple[float, float]]) -> list[str]:
    return [format_figure(median(column), digits=2) for column in zip(*found, strict=True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    print(run(rounds=parser.parse_args().rounds))


if __name__ == "__main__":
    main()
