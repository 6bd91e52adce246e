"""Recall of search over conversations or documents: `python -m bench.retrieval FOLDER --embeddings http://127.0.0.1:8085/v1`.

Starts a stack and loads a dataset (`bench/retrieval/datasets.py`) through its API, as conversations or, with `--documents`, as
documents. Then searches in each mode, and prints recall at 5, 10 and 20, times and tokens. The embeddings server must support
OpenAI's API; without `--embeddings`, the offline embedder is measured.
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
    """The result of one search mode: the mean recall at each rank of `RECALL_AT`, and the time of each search over HTTP."""

    mode: str
    recalls: Sequence[float]
    times_ms: Sequence[float]

    def row(self) -> list[str]:
        """Return the table row of this mode."""
        recalls = [format_figure(100 * recall) for recall in self.recalls]
        return [self.mode, *recalls, format_figure(quantile(self.times_ms, 0.5)), format_figure(quantile(self.times_ms, 0.95))]


def search_all(store: ConversationStore | DocumentStore, dataset: Dataset, mode: str) -> SearchResult:
    """Run all queries of the dataset in one mode."""
    recalls: list[list[float]] = []
    times_ms: list[float] = []
    for query in dataset.queries:
        began = time.perf_counter()
        found, actual_mode = store.search(query.text, mode=mode)
        times_ms.append(1000 * (time.perf_counter() - began))
        if actual_mode != mode:
            raise ServerFailed(f"searched in mode {actual_mode} instead of {mode}: is the embeddings server up?")
        recalls.append([recall_at(found, query.gold, rank) for rank in RECALL_AT])
    return SearchResult(mode, [fmean(column) for column in zip(*recalls, strict=True)], times_ms)


def measure(dataset: Dataset, store_type: type[ConversationStore | DocumentStore], *, models: str, limit_s: float) -> str:
    """Load the dataset, search it, and return the Markdown document."""
    with TemporaryDirectory() as folder, running_parley(Path(folder), models=models) as server:
        store = store_type(server)
        duration_s = store.add_items(dataset.items, limit_s=limit_s)
        rows = [search_all(store, dataset, mode).row() for mode in store.modes]
        tokens = ", ".join(f"{model} {count}" for model, count in store.tokens())
    head = ["mode", *(f"recall@{rank}" for rank in RECALL_AT), "p50 ms", "p95 ms"]
    kind = "documents" if store_type is DocumentStore else "conversations"
    about = f"{len(dataset.items)} items as {kind}, {len(dataset.queries)} queries; all indexed after {duration_s:.0f} s; "
    about += f"input tokens: {tokens}."
    return f"## Retrieval: {dataset.name}\n\n{machine.header()}\n\n{about}\n\n{table(head, rows)}\n"


def main() -> None:
    """Measure, print, and write `bench/results/retrieval-[documents-]<dataset>.md`."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="folder of the dataset")
    parser.add_argument("--documents", action="store_true", help="load the items as documents, not as conversations")
    parser.add_argument("--embeddings", help="base URL of an embeddings server, ending with /v1")
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="name of the embedding model (default: %(default)s)")
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--limit-s", type=float, default=3600, help="seconds until all items must be indexed (default: %(default)s)")
    args = parser.parse_args()
    served = _SERVED_MODEL.format(name=args.model, url=args.embeddings, dimensions=args.dimensions)
    try:
        models = _MODELS + (served if args.embeddings else _LEXICAL_MODEL)
        document = measure(
            load_dataset(args.folder), DocumentStore if args.documents else ConversationStore, models=models, limit_s=args.limit_s
        )
    except ServerFailed as error:
        sys.exit(str(error))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"retrieval-{'documents-' if args.documents else ''}{args.folder.name}.md").write_text(document)
    print(document)


if __name__ == "__main__":
    main()
