"""How long recall takes in the database, as the app role: `python -m bench.retrieval.speed --passages 10000 --others 200000`.

The passages of one user stand among those of others, row by row, as they would after months. Texts are words drawn by Zipf's
law; vectors are random. Each recall is one statement, as a turn sends it: facts and passages by words and vector.
"""

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from bench import machine
from bench.database import running_database
from bench.tables import figure, quantile, table, times
from parley.db import recall
from parley.db.engine import make_engine
from parley.db.halfvec import Vector
from parley.db.recall import Place
from parley.ids import new_id

WORDS, VOCABULARY, ASKED_WORDS = 90, 30_000, 10
AIM_MS = 25.0
RESULTS = Path(__file__).parents[1] / "results"
_BATCH = 2000


@dataclass(frozen=True, slots=True)
class Case:
    """How much there is: passages of the user, of others, and the length of the vectors."""

    passages: int
    others: int
    dimensions: int


@dataclass(frozen=True, slots=True)
class Timed:
    """Milliseconds of each recall, and what writing a passage with its index entries took."""

    recalls_ms: Sequence[float]
    write_ms: float


class Corpus:
    """Words by Zipf's law and vectors, always the same."""

    def __init__(self, dimensions: int) -> None:
        self._random, self._dimensions = random.Random(7), dimensions
        self._words = [f"w{number}x" for number in range(VOCABULARY)]
        self._weights = list(accumulate(1 / (rank + 10) for rank in range(VOCABULARY)))
        # Drawing each number would take longer than all the rest.
        self._pool = [self._random.gauss(0, 1) for _ in range(50_000)]

    def words(self, count: int) -> str:
        """Return so many words."""
        return " ".join(self._random.choices(self._words, cum_weights=self._weights, k=count))

    def vector(self) -> list[float]:
        """Return a vector."""
        start = self._random.randrange(len(self._pool) - self._dimensions)
        return self._pool[start : start + self._dimensions]


def measured(engine: Engine, owner: Engine, case: Case, *, rounds: int) -> Timed:
    """Fill the tables and time recall."""
    corpus, user_id = Corpus(case.dimensions), new_id()
    began = time.perf_counter()
    _fill(owner, corpus, case, user_id)
    write_ms = 1000 * (time.perf_counter() - began) / (case.passages + case.others)
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE passages"))
    for _ in range(10):
        _recall_ms(engine, corpus, user_id)
    return Timed([_recall_ms(engine, corpus, user_id) for _ in range(rounds)], write_ms)


def _recall_ms(engine: Engine, corpus: Corpus, user_id: UUID) -> float:
    vector, words = Vector("m", corpus.vector()), corpus.words(ASKED_WORDS)
    began = time.perf_counter()
    recall.recall(engine, words, user_id=user_id, vector=vector, place=Place(None, 0), facts=20, passages=6, half_life_days=30)
    return 1000 * (time.perf_counter() - began)


def _fill(owner: Engine, corpus: Corpus, case: Case, user_id: UUID) -> None:
    """Store the rows, the user's own spread evenly among the others'."""
    others = [new_id() for _ in range(max(1, case.others // max(case.passages, 1)))]
    with owner.begin() as connection:
        places = {one: _conversation(connection, one) for one in (user_id, *others)}
        rows = list[dict[str, object]]()
        for owner_id in _owners(case, user_id, others):
            rows.append(_row(corpus, owner_id, places[owner_id]))
            if len(rows) == _BATCH:
                connection.execute(_INSERT, rows)
                rows.clear()
        if rows:
            connection.execute(_INSERT, rows)


def _owners(case: Case, user_id: UUID, others: Sequence[UUID]) -> Iterator[UUID]:
    total, given = case.passages + case.others, 0
    for number in range(total):
        if given * total < case.passages * (number + 1):
            given += 1
            yield user_id
        else:
            yield others[number % len(others)]


def _conversation(connection: Connection, user_id: UUID) -> UUID:
    conversation_id = new_id()
    connection.execute(text("INSERT INTO users (id, email) VALUES (:id, :email)"), {"id": user_id, "email": f"{user_id}@example.com"})
    connection.execute(text("INSERT INTO conversations (user_id, id) VALUES (:user_id, :id)"), {"user_id": user_id, "id": conversation_id})
    return conversation_id


def _row(corpus: Corpus, user_id: UUID, conversation_id: UUID) -> dict[str, object]:
    numbers = ",".join(f"{number:.3f}" for number in corpus.vector())
    place = {"user_id": user_id, "id": new_id(), "conversation_id": conversation_id}
    return place | {"text": corpus.words(WORDS), "vector": f"[{numbers}]"}


_INSERT = text(
    """
    INSERT INTO passages (user_id, id, conversation_id, first_seq, last_seq, text, said_at, embedding, embedding_model)
    VALUES (:user_id, :id, :conversation_id, 1, 1, :text, now(), l2_normalize(CAST(:vector AS halfvec)), 'm')
    """
)


def run(cases: Sequence[Case], *, rounds: int) -> str:
    """Measure each case in a database of its own and return the table; a case with others is compared with the one before."""
    rows, alone = list[list[str]](), None
    for case in cases:
        with running_database() as settings:
            app, owner = make_engine(settings), make_engine(settings, role="owner")
            timed = measured(app, owner, case, rounds=rounds)
            app.dispose()
            owner.dispose()
        p50, p95 = quantile(timed.recalls_ms, 0.5), quantile(timed.recalls_ms, 0.95)
        ratio = times(p50 / alone) if case.others and alone and p50 else "–"
        alone = alone if case.others else p50
        figures = [figure(min(timed.recalls_ms)), figure(p50), figure(p95), ratio, figure(timed.write_ms, digits=2)]
        rows.append([f"{case.passages} of the user's, {case.others} of others', {case.dimensions} dimensions", *figures])
        print(rows[-1], flush=True)
    head = ["passages", "least ms", "p50 ms", "p95 ms", "p50 with others", "write ms"]
    return f"## Recall in the database\n\n{machine.header()}\n\nAim: p95 at most {AIM_MS:.0f} ms.\n\n{table(head, rows)}"


def main() -> None:
    """Measure, print, and write `bench/results/recall.md`."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval.speed", description=__doc__)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--others", type=int, default=200_000)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[384, 1536])
    parser.add_argument("--rounds", type=int, default=100)
    given = parser.parse_args()
    cases = [Case(given.passages, others, length) for length in given.dimensions for others in (0, given.others)]
    document = run(cases, rounds=given.rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "recall.md").write_text(document + "\n")
    print(document)


if __name__ == "__main__":
    main()
