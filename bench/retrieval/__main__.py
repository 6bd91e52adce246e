"""How well past conversations are found: `python -m bench.retrieval FOLDER --embeddings http://127.0.0.1:8085/v1`.

Loads a set (`bench/retrieval/datasets.py`) through the real API of a stack of its own, as conversations or with `--documents` as
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

from bench.harness import machine
from bench.harness.servers import ServerFailed
from bench.harness.stack import running_parley
from bench.harness.tables import format_figure, quantile, table
from bench.retrieval.datasets import Dataset, load_dataset, recall_at
from bench.retrieval.stores import ConversationStore, DocumentStore

RESULTS = Path(__file__).parents[1] / "results"
RECALL_AT = (5, 10, 20)

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

_LEXICAL_MODEL = """
provider = "offline"
name = "lexical"
dimensions = 384
"""

_SERVED_MODEL = """
provider = "openai-compatible"
name = "{name}"
base_url = "{url}"
dimensions = {dimensions}
"""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """How one mode did: the share found at each of `PLACES`, and milliseconds over HTTP."""

    mode: str
    shares: Sequence[float]
    times_ms: Sequence[float]

    def row(self) -> list[str]:
        """Return it as a line of the table."""
        shares = [format_figure(100 * share) for share in self.shares]
        return [self.mode, *shares, format_figure(quantile(self.times_ms, 0.5)), format_figure(quantile(self.times_ms, 0.95))]


def search_all(store: ConversationStore | DocumentStore, given: Dataset, mode: str) -> SearchResult:
    """Ask all queries in one mode."""
    shares, times_ms = list[list[float]](), list[float]()
    for query in given.queries:
        began = time.perf_counter()
        found, done = store.found(query.text, mode=mode)
        times_ms.append(1000 * (time.perf_counter() - began))
        if done != mode:
            raise ServerFailed(f"{mode} was asked for and {done} was done: does the server of embeddings answer?")
        shares.append([recall_at(found, query.gold, places) for places in RECALL_AT])
    return SearchResult(mode, [fmean(column) for column in zip(*shares, strict=True)], times_ms)


def measure(given: Dataset, store_type: type[ConversationStore | DocumentStore], *, models: str, limit_s: float) -> str:
    """Load the set, search it, and return the document."""
    with TemporaryDirectory() as folder, running_parley(Path(folder), models=models) as server:
        store = store_type(server)
        took_s = store.add_items(given.items, limit_s=limit_s)
        rows = [search_all(store, given, mode).row() for mode in store.modes]
        tokens = ", ".join(f"{model} {count}" for model, count in store.tokens())
    head = ["mode", *(f"recall@{places}" for places in RECALL_AT), "p50 ms", "p95 ms"]
    kind = "documents" if store_type is DocumentStore else "conversations"
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
    served = _SERVED_MODEL.format(name=given.model, url=given.embeddings, dimensions=given.dimensions)
    try:
        models = _MODELS + (served if given.embeddings else _LEXICAL_MODEL)
        document = measure(
            load_dataset(given.folder), DocumentStore if given.documents else ConversationStore, models=models, limit_s=given.limit_s
        )
    except ServerFailed as error:
        sys.exit(str(error))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"retrieval-{'documents-' if given.documents else ''}{given.folder.name}.md").write_text(document)
    print(document)


if __name__ == "__main__":
    main()
