"""Duration of searches in the database, as the app role: `python -m bench.retrieval.speed`.

One user's rows are interleaved with those of other users, as after months of use. Passages are searched together with facts,
by the statement that a turn uses; chunks are searched as by `GET /documents/search`. Each query has ten words and a vector. An
exact search determines which share of the nearest ten is found. `--others 1000000` and `--chance` take longer.
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

QUERY_WORDS = 10
FOUND = 10
COMPARED = 20
RESULTS = Path(__file__).parents[1] / "results"

AIMS = (
    "Aims: p95 at most 25 ms with 10,000 rows of the user, 60 ms with 200,000 chunks, 1.2 times that with other users' rows; "
    "nearest ten at least 0.95."
)

_EXACT = """
    SELECT -(embedding <#> CAST(:vector AS halfvec)) AS similarity FROM {table}
     WHERE user_id = :user_id AND embedding_model = :model ORDER BY similarity DESC LIMIT 10
"""


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """The wall time and the server's CPU time of each search, in milliseconds, and the mean share of the nearest ten found."""

    wall_ms: Sequence[float]
    cpu_ms: Sequence[float]
    nearest: float


def measure(engine: Engine, owner: Engine, case: Case, *, rounds: int) -> SearchTimes:
    """Fill the table, search `rounds` times, and compare with an exact search."""
    corpus = Corpus(case.dimensions, has_topics=case.has_topics)
    user_id = new_id()
    fill_table(owner, case, corpus, user_id)
    search: Callable[[str, Vector], object] = partial(_SEARCHES[case.table], engine, user_id)
    with engine.connect() as connection:
        process_id = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    wall_ms: list[float] = []
    cpu_ms: list[float] = []
    for _ in range(rounds + 10):
        words = " ".join(corpus.words(QUERY_WORDS))
        vector = Vector(MODEL, corpus.vector())
        cpu_before_ms = _cpu_ms(process_id)
        began = time.perf_counter()
        search(words, vector)
        wall_ms.append(1000 * (time.perf_counter() - began))
        cpu_ms.append(_cpu_ms(process_id) - cpu_before_ms)
    shares = [_recall_of_nearest(engine, owner, case.table, user_id, Vector(MODEL, corpus.vector())) for _ in range(COMPARED)]
    return SearchTimes(wall_ms[10:], cpu_ms[10:], sum(shares) / len(shares))


def _recall(engine: Engine, user_id: UUID, words: str, vector: Vector) -> object:
    return search.recall(
        engine, words, user_id=user_id, vector=vector, window_start=WindowStart(None, 0), facts=20, passages=6, half_life_days=30
    )


def _search_chunks(engine: Engine, user_id: UUID, words: str, vector: Vector) -> object:
    with user_scope(engine, user_id) as connection:
        return search.search_chunks(connection, words, vector, limit=FOUND)


_SEARCHES = {"passages": _recall, "chunks": _search_chunks}


def _recall_of_nearest(engine: Engine, owner: Engine, table_name: str, user_id: UUID, vector: Vector) -> float:
    """Return the share of ten results that are as near as the ten nearest. Compares distances instead of ids, as vectors repeat."""
    with user_scope(engine, user_id) as connection:
        if table_name == "chunks":
            similarities = [chunk.similarity or 0.0 for chunk in search.search_chunks(connection, "", vector, limit=FOUND)]
        else:
            passages = search.search_passages(connection, "", user_id=user_id, vector=vector, limit=FOUND)
            similarities = [passage.similarity or 0.0 for passage in passages]
    with owner.connect() as connection:
        least: float = connection.scalars(text(_EXACT.format(table=table_name)), vector_parameters(vector) | {"user_id": user_id}).all()[-1]
    return sum(similarity >= least - 1e-6 for similarity in similarities) / FOUND


def _cpu_ms(process_id: int) -> float:
    """Return the CPU time of a process so far, or 0 on a system without /proc."""
    schedstat = Path(f"/proc/{process_id}/schedstat")
    return int(schedstat.read_text().split()[0]) / 1e6 if schedstat.exists() else 0.0


def run(cases: Sequence[Case], *, rounds: int) -> str:
    """Measure each case in its own database and return the Markdown document."""
    rows: list[list[str]] = []
    for case in cases:
        with running_database() as settings:
            app, owner = make_engine(settings), make_engine(settings, role="owner")
            times = measure(app, owner, case, rounds=rounds)
            app.dispose()
            owner.dispose()
        figures = [format_figure(min(times.wall_ms)), *(format_figure(quantile(times.wall_ms, share)) for share in (0.5, 0.95))]
        figures += [format_figure(min(times.cpu_ms)), format_figure(quantile(times.cpu_ms, 0.5)), format_figure(times.nearest, digits=3)]
        vectors = f"{case.dimensions} dimensions" + ("" if case.has_topics else " by chance")
        rows.append([f"{case.own} {case.table}, {case.others} of others', {vectors}", *figures])
        print(rows[-1], flush=True)
    head = ["searched", "min ms", "p50 ms", "p95 ms", "min CPU ms", "p50 CPU ms", "nearest ten"]
    return f"## Search in the database\n\n{machine.header()}\n- {rounds} rounds each\n\n{AIMS}\n\n{table(head, rows)}\n"


def cases_of(args: argparse.Namespace) -> list[Case]:
    """Return a case for each vector dimension and each number of rows, without and with other users' rows."""
    sizes = [("passages", own) for own in args.passages] + [("chunks", own) for own in args.chunks]
    both = [(*size, others) for size in sizes for others in ((0, args.others) if args.others else (0,))]
    return [Case(name, own, others, length, not args.chance) for length in args.dimensions for name, own, others in both]


def main() -> None:
    """Measure, print, and write the file named by `--results` in `bench/results`."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval.speed", description=__doc__)
    parser.add_argument("--passages", type=int, nargs="*", default=[10_000])
    parser.add_argument("--chunks", type=int, nargs="*", default=[10_000, 200_000])
    parser.add_argument("--others", type=int, default=200_000)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[384])
    parser.add_argument("--chance", action="store_true", help="use random vectors without topics, unlike real embeddings")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--results", default="search.md", help="file name in bench/results (default: %(default)s)")
    args = parser.parse_args()
    document = run(cases_of(args), rounds=args.rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / args.results).write_text(document)
    print(document)


if __name__ == "__main__":
    main()
