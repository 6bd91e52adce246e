"""How long searches take in the database, as the app role: `python -m bench.retrieval.speed`.

The rows of one user stand among those of others, row by row, as they would after months. A recall of passages is one statement,
as a turn sends it, with facts; a search of chunks is what `GET /documents/search` runs. Both go by ten words and a vector. How much
of the nearest ten is found is told against an exact search. `--others 1000000` and `--chance` (vectors without topics) take longer.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

from sqlalchemy import Engine, text

from bench.harness import machine
from bench.harness.database import running_database
from bench.harness.tables import format_figure, quantile, table
from bench.retrieval.corpus import Corpus
from bench.retrieval.rows import MODEL, Case, fill_table
from parley.db import search
from parley.db.engine import make_engine
from parley.db.search import WindowStart
from parley.db.transactions import user_scope
from parley.db.vectors import Vector, vector_parameters
from parley.ids import new_id

ASKED_WORDS, FOUND, COMPARED = 10, 10, 20
RESULTS = Path(__file__).parents[1] / "results"

AIMS = (
    "Aims: p95 at most 25 ms with 10,000 rows of the user's, 60 ms with 200,000 chunks; with others' rows 1.2 times; nearest at least 0.95."
)

_EXACT = """
    SELECT -(embedding <#> CAST(:vector AS halfvec)) AS similarity FROM {table}
     WHERE user_id = :user_id AND embedding_model = :model ORDER BY similarity DESC LIMIT 10
"""


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """Milliseconds of each search as the caller sees them and of the server's CPU, and the share of the nearest ten that is found."""

    took_ms: Sequence[float]
    cpu_ms: Sequence[float]
    nearest: float


def measure(engine: Engine, owner: Engine, case: Case, *, rounds: int) -> SearchTimes:
    """Fill the table, search `rounds` times, and compare with an exact search."""
    corpus, user_id = Corpus(case.dimensions, has_topics=case.has_topics), new_id()
    fill_table(owner, case, corpus, user_id)
    search: Callable[[str, Vector], object] = partial(_SEARCHES[case.table], engine, user_id)
    with engine.connect() as connection:
        process_id = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    took_ms, cpu_ms = list[float](), list[float]()
    for _ in range(rounds + 10):
        words, vector = " ".join(corpus.words(ASKED_WORDS)), Vector(MODEL, corpus.vector())
        began, cpu_before_ms = time.perf_counter(), _cpu_ms(process_id)
        search(words, vector)
        took_ms.append(1000 * (time.perf_counter() - began))
        cpu_ms.append(_cpu_ms(process_id) - cpu_before_ms)
    shares = [_recall_of_nearest(engine, owner, case.table, user_id, Vector(MODEL, corpus.vector())) for _ in range(COMPARED)]
    return SearchTimes(took_ms[10:], cpu_ms[10:], sum(shares) / len(shares))


def _recall(engine: Engine, user_id: UUID, words: str, vector: Vector) -> object:
    return search.recall(
        engine, words, user_id=user_id, vector=vector, window_start=WindowStart(None, 0), facts=20, passages=6, half_life_days=30
    )


def _search_chunks(engine: Engine, user_id: UUID, words: str, vector: Vector) -> object:
    with user_scope(engine, user_id) as connection:
        return search.search_chunks(connection, words, vector, limit=FOUND)


_SEARCHES = {"passages": _recall, "chunks": _search_chunks}


def _recall_of_nearest(engine: Engine, owner: Engine, table_name: str, user_id: UUID, vector: Vector) -> float:
    """Return how many of the ten found by a vector alone are as near as the ten nearest: rows may have the same vector."""
    with user_scope(engine, user_id) as connection:
        if table_name == "chunks":
            found = [one.similarity or 0.0 for one in search.search_chunks(connection, "", vector, limit=FOUND)]
        else:
            passages = search.search_passages(connection, "", user_id=user_id, vector=vector, limit=FOUND)
            found = [one.similarity or 0.0 for one in passages]
    with owner.connect() as connection:
        least: float = connection.scalars(text(_EXACT.format(table=table_name)), vector_parameters(vector) | {"user_id": user_id}).all()[-1]
    return sum(similarity >= least - 1e-6 for similarity in found) / FOUND


def _cpu_ms(process_id: int) -> float:
    """Return what a process has run so far, 0 where the system does not tell."""
    told = Path(f"/proc/{process_id}/schedstat")
    return int(told.read_text().split()[0]) / 1e6 if told.exists() else 0.0


def run(cases: Sequence[Case], *, rounds: int) -> str:
    """Measure each case in a database of its own and return the document."""
    rows = list[list[str]]()
    for case in cases:
        with running_database() as settings:
            app, owner = make_engine(settings), make_engine(settings, role="owner")
            timed = measure(app, owner, case, rounds=rounds)
            app.dispose()
            owner.dispose()
        figures = [format_figure(min(timed.took_ms)), *(format_figure(quantile(timed.took_ms, share)) for share in (0.5, 0.95))]
        figures += [format_figure(min(timed.cpu_ms)), format_figure(quantile(timed.cpu_ms, 0.5)), format_figure(timed.nearest, digits=3)]
        vectors = f"{case.dimensions} dimensions" + ("" if case.has_topics else " by chance")
        rows.append([f"{case.own} {case.table}, {case.others} of others', {vectors}", *figures])
        print(rows[-1], flush=True)
    head = ["searched", "least ms", "p50 ms", "p95 ms", "CPU least ms", "CPU p50 ms", "nearest ten"]
    return f"## Search in the database\n\n{machine.header()}\n- {rounds} rounds each\n\n{AIMS}\n\n{table(head, rows)}\n"


def cases_of(args: argparse.Namespace) -> list[Case]:
    """Return what is asked for: for each length of vectors and each number of rows, alone and among others' rows."""
    sizes = [("passages", own) for own in args.passages] + [("chunks", own) for own in args.chunks]
    both = [(*size, others) for size in sizes for others in ((0, args.others) if args.others else (0,))]
    return [Case(name, own, others, length, not args.chance) for length in args.dimensions for name, own, others in both]


def main() -> None:
    """Measure, print, and write `bench/results/search.md`, or what `--results` names."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval.speed", description=__doc__)
    parser.add_argument("--passages", type=int, nargs="*", default=[10_000])
    parser.add_argument("--chunks", type=int, nargs="*", default=[10_000, 200_000])
    parser.add_argument("--others", type=int, default=200_000)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[384])
    parser.add_argument("--chance", action="store_true", help="vectors of chance alone, which nothing real is")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--results", default="search.md", help="the file's name in bench/results")
    args = parser.parse_args()
    document = run(cases_of(args), rounds=args.rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / args.results).write_text(document)
    print(document)


if __name__ == "__main__":
    main()
