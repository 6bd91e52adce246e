"""Duration of searches in the database, as the app role: `python -m bench.retrieval.speed`.

One user's rows are interleaved with those of other users, as after months of use. Passages are searched together with facts,
by the statement that a turn uses; chunks are searched as by `GET /documents/search`. Each query has ten words and a vector. Before each
search the built-in model embeds a question of nine words, which is timed by itself and with the search. An exact search determines which
share of the nearest ten is found. `--others 1000000` and `--chance` take longer.
"""

import argparse
import sys
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
from bench.retrieval.embedder import QUESTION
from bench.retrieval.rows import MODEL, Case, fill_table
from local.sam_build.embedding_model import MODEL_FOLDER
from parley.db import search
from parley.db.chunks import search_chunks
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
    "Aims: p95 at most 25 ms with 10,000 rows of the user, 60 ms with 200,000 chunks, 1.2 times that with other users' rows, "
    "beside the embedding; nearest ten at least 0.95. On Lambda the model is a function of its own: its invocation is not included."
)

_EXACT = """
    SELECT -(embedding <#> CAST(:vector AS halfvec)) AS similarity FROM {table}
     WHERE user_id = :user_id AND embedding_model = :model ORDER BY similarity DESC LIMIT 10
"""


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """Times in milliseconds, and the mean share of the nearest ten found.

    `embed_ms` and `wall_ms` are the wall times of each embedding and of the search after it, `cpu_ms` the server's CPU time of the search.
    """

    embed_ms: Sequence[float]
    wall_ms: Sequence[float]
    cpu_ms: Sequence[float]
    nearest: float

    def figures(self) -> list[str]:
        """Return the cells of this case's row."""
        both_ms = [sum(pair) for pair in zip(self.embed_ms, self.wall_ms, strict=True)]
        shares = [(times, share) for times in (self.wall_ms, self.embed_ms, both_ms) for share in (0.5, 0.95)]
        figures = [format_figure(min(self.wall_ms)), *(format_figure(quantile(times, share)) for times, share in shares)]
        return [*figures, format_figure(min(self.cpu_ms)), format_figure(quantile(self.cpu_ms, 0.5)), format_figure(self.nearest, digits=3)]


def measure(engine: Engine, owner: Engine, case: Case, embed: Callable[[str], object], *, rounds: int) -> SearchTimes:
    """Fill the table, embed a question and search `rounds` times, and compare with an exact search."""
    corpus = Corpus(case.dimensions, has_topics=case.has_topics)
    user_id = new_id()
    fill_table(owner, case, corpus, user_id)
    search: Callable[[str, Vector], object] = partial(_SEARCHES[case.table], engine, user_id)
    with engine.connect() as connection:
        process_id = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    embed_ms: list[float] = []
    wall_ms: list[float] = []
    cpu_ms: list[float] = []
    for _ in range(rounds + 10):
        words = " ".join(corpus.words(QUERY_WORDS))
        vector = Vector(MODEL, corpus.vector())
        embed_ms.append(_wall_ms(partial(embed, QUESTION)))
        cpu_before_ms = _cpu_ms(process_id)
        wall_ms.append(_wall_ms(partial(search, words, vector)))
        cpu_ms.append(_cpu_ms(process_id) - cpu_before_ms)
    shares = [_recall_of_nearest(engine, owner, case.table, user_id, Vector(MODEL, corpus.vector())) for _ in range(COMPARED)]
    return SearchTimes(embed_ms[10:], wall_ms[10:], cpu_ms[10:], sum(shares) / len(shares))


def _wall_ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def _recall(engine: Engine, user_id: UUID, words: str, vector: Vector) -> object:
    return search.recall(
        engine, words, user_id=user_id, vector=vector, window_start=WindowStart(None, 0), facts=20, passages=6, half_life_days=30
    )


def _search_chunks(engine: Engine, user_id: UUID, words: str, vector: Vector) -> object:
    with user_scope(engine, user_id) as connection:
        return search_chunks(connection, words, vector, limit=FOUND)


_SEARCHES = {"passages": _recall, "chunks": _search_chunks}


def _recall_of_nearest(engine: Engine, owner: Engine, table_name: str, user_id: UUID, vector: Vector) -> float:
    """Return the share of ten results that are as near as the ten nearest. Compares distances instead of ids, as vectors repeat."""
    with user_scope(engine, user_id) as connection:
        if table_name == "chunks":
            similarities = [chunk.similarity or 0.0 for chunk in search_chunks(connection, "", vector, limit=FOUND)]
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
    from functions.embedder.sentence_model import SentenceModel

    embed = SentenceModel().embed
    rows: list[list[str]] = []
    for case in cases:
        with running_database() as settings:
            app, owner = make_engine(settings), make_engine(settings, role="owner")
            times = measure(app, owner, case, embed, rounds=rounds)
            app.dispose()
            owner.dispose()
        vectors = f"{case.dimensions} dimensions" + ("" if case.has_topics else " by chance")
        rows.append([f"{case.own} {case.table}, {case.others} of others', {vectors}", *times.figures()])
        print(rows[-1], flush=True)
    head = [
        "searched",
        "min ms",
        "p50 ms",
        "p95 ms",
        "embedding p50",
        "p95",
        "with it p50",
        "p95",
        "min CPU ms",
        "p50 CPU ms",
        "nearest ten",
    ]
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
    if not (MODEL_FOLDER / "model.onnx").exists():
        sys.exit("the built-in embedding model is not installed: run `make embedder`")
    document = run(cases_of(args), rounds=args.rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / args.results).write_text(document)
    print(document)


if __name__ == "__main__":
    main()
