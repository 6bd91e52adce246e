"""Retrieval datasets: items with ids, and queries with the ids of the items that answer them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Item:
    """A text that can be found."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """A question and which items answer it."""

    text: str
    gold: frozenset[str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Items and queries."""

    name: str
    items: Sequence[Item]
    queries: Sequence[Query]


def load_dataset(folder: Path) -> Dataset:
    """Read a set.

    Either `items.jsonl` with `{"id", "text"}` and `queries.jsonl` with `{"query", "gold": [id, …]}` on each line, or the files of
    Anthropic's contextual retrieval cookbook, `codebase_chunks.json` and `evaluation_set.jsonl`.
    """
    if (folder / "items.jsonl").exists():
        items = [Item(str(one["id"]), one["text"]) for one in _lines(folder / "items.jsonl")]
        queries = [Query(one["query"], frozenset(map(str, one["gold"]))) for one in _lines(folder / "queries.jsonl")]
        return Dataset(folder.name, items, queries)
    documents = json.loads((folder / "codebase_chunks.json").read_text())
    items = [
        Item(f"{document['original_uuid']}:{chunk['original_index']}", chunk["content"])
        for document in documents
        for chunk in document["chunks"]
    ]
    asked = _lines(folder / "evaluation_set.jsonl")
    queries = [Query(one["query"], frozenset(f"{uuid}:{index}" for uuid, index in one["golden_chunk_uuids"])) for one in asked]
    return Dataset(folder.name, items, queries)


def recall_at(found: Sequence[str], gold: frozenset[str], places: int) -> float:
    """Return the share of the items that answer a question which stand among the first `places`."""
    return len(set(found[:places]) & gold) / len(gold)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
