"""Retrieval datasets: items with ids, and queries with the ids of the items that answer them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Item:
    """A text to index."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """A query and the ids of the items that answer it."""

    text: str
    gold: frozenset[str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A named set of items and queries."""

    name: str
    items: Sequence[Item]
    queries: Sequence[Query]


def load_dataset(folder: Path) -> Dataset:
    """Read a dataset in one of two formats.

    Either `items.jsonl` with `{"id", "text"}` and `queries.jsonl` with `{"query", "gold": [id, …]}` per line, or the files of
    Anthropic's contextual retrieval cookbook, `codebase_chunks.json` and `evaluation_set.jsonl`.
    """
    if (folder / "items.jsonl").exists():
        items = [Item(str(row["id"]), row["text"]) for row in _lines(folder / "items.jsonl")]
        queries = [Query(row["query"], frozenset(map(str, row["gold"]))) for row in _lines(folder / "queries.jsonl")]
        return Dataset(folder.name, items, queries)
    documents = json.loads((folder / "codebase_chunks.json").read_text())
    items = [
        Item(f"{document['original_uuid']}:{chunk['original_index']}", chunk["content"])
        for document in documents
        for chunk in document["chunks"]
    ]
    rows = _lines(folder / "evaluation_set.jsonl")
    queries = [Query(row["query"], frozenset(f"{uuid}:{index}" for uuid, index in row["golden_chunk_uuids"])) for row in rows]
    return Dataset(folder.name, items, queries)


def recall_at(found: Sequence[str], gold: frozenset[str], rank: int) -> float:
    """Return the share of the `gold` items that are among the first `rank` found items."""
    return len(set(found[:rank]) & gold) / len(gold)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
