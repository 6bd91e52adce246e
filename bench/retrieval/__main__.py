"""How well past conversations are found: `python -m bench.retrieval FOLDER --embeddings http://127.0.0.1:8085/v1`.

Loads a set (`bench/retrieval/sets.py`) through the real API of a stack of its own, as conversations or with `--documents` as
documents, searches in each mode, and prints recall at 5, 10 and 20, times and tokens. The server of embeddings speaks OpenAI's
API; without one, the offline embedder is measured.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from bench import machine
from bench.retrieval.past import Past
from bench.retrieval.sets import Set, load, recall_at
from bench.retrieval.shelf import Shelf
from bench.servers import ServerFailed
from bench.stack import running_parley
from bench.tables import figure, quantile, table

RESULTS = Path(__file__).parents[1] / "results"
PLACES = (5, 10, 20)

_MODELS = """
[roles]
chat = "offline"
embedding = "measured"

[models.offline]
provider = "offline"
name = "offline"
context_tokens = 32000
abilities = ["tools", "json"]

[models.measured]
kind = "embedding"
"""
_LEXICAL = """
provider = "offline"
name = "lexical"
dimensions = 384
"""
_SERVED = """
provider = "openai-compatible"
name = "{name}"
base_url = "{url}"
dimensions = {dimensions}
"""


@dataclass(frozen=True, slots=True)
class Searched:
    """How one mode did: the share found at each of `PLACES`, and milliseconds over HTTP."""

    mode: str
    shares: Sequence[float]
    times_ms: Sequence[float]

    def row(self) -> list[str]:
        """Return it as a line of the table."""
        shares = [figure(100 * share) for share in self.shares]
        return [self.mode, *shares, figure(quantile(self.times_ms, 0.5)), figure(quantile(self.times_ms, 0.95))]


def searched(kept: Past | Shelf, given: Set, mode: str) -> Searched:
    """Ask all queries in one mode."""
    shares, times_ms = list[list[float]](), list[float]()
    for query in given.queries:
        began = time.perf_counter()
        found, done = kept.found(query.text, mode=mode)
        times_ms.append(1000 * (time.perf_counter() - began))
        if done != mode:
            raise ServerFailed(f"{mode} was asked for and {done} was done: does the server of embeddings answer?")
        shares.append([recall_at(found, query.gold, places) for places in PLACES])
    return Searched(mode, [fmean(column) for column in zip(*shares, strict=True)], times_ms)


def measured(given: Set, keep: type[Past | Shelf], *, models: str, limit_s: float) -> str:
    """Load the set, search it, and return the document."""
    with TemporaryDirectory() as folder, running_parley(Path(folder), models=models) as server:
        kept = keep(server)
        took_s = kept.put(given.items, limit_s=limit_s)
        rows = [searched(kept, given, mode).row() for mode in kept.modes]
        tokens = ", ".join(f"{model} {count}" for model, count in kept.tokens())
    head = ["mode", *(f"recall@{places}" for places in PLACES), "p50 ms", "p95 ms"]
    kind = "documents" if keep is Shelf else "conversations"
    about = f"{len(given.items)} items as {kind}, {len(given.queries)} queries; all found after {took_s:.0f} s; tokens read: {tokens}."
    return f"## Retrieval: {given.name}\n\n{machine.header()}\n\n{about}\n\n{table(head, rows)}\n"


def main() -> None:
    """Measure, print, and write `bench/results/retrieval-<set>.md`, with `documents-` before the set's name."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="of the set")
    parser.add_argument("--documents", action="store_true", help="load it as documents, not as conversations")
    parser.add_argument("--embeddings", help="the address of a server of embeddings, with /v1")
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="its name there (default: %(default)s)")
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--limit-s", type=float, default=3600, help="for mining all conversations")
    given = parser.parse_args()
    served = _SERVED.format(name=given.model, url=given.embeddings, dimensions=given.dimensions)
    try:
        models = _MODELS + (served if given.embeddings else _LEXICAL)
        document = measured(load(given.folder), Shelf if given.documents else Past, models=models, limit_s=given.limit_s)
    except ServerFailed as error:
        sys.exit(str(error))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"retrieval-{'documents-' if given.documents else ''}{given.folder.name}.md").write_text(document)
    print(document)


if __name__ == "__main__":
    main()
