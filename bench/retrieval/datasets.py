"""Retrieval datasets: items with ids, and queries with the ids of the items that answer them."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from parley.memory.passages import SaidMessage, Utterance, split_into_passages


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
    """Read a dataset in one of three formats.

    Either `items.jsonl` with `{"id", "text"}` and `queries.jsonl` with `{"query", "gold": [id, …]}` per line; or the files of
    Anthropic's contextual retrieval cookbook, `codebase_chunks.json` and `evaluation_set.jsonl`; or the files of LoCoMo's
    `locomo10.zip`, one for each conversation, whose items are the passages that Parley would store.
    """
    if (folder / "items.jsonl").exists():
        items = [Item(str(row["id"]), row["text"]) for row in _lines(folder / "items.jsonl")]
        queries = [Query(row["query"], frozenset(map(str, row["gold"]))) for row in _lines(folder / "queries.jsonl")]
        return Dataset(folder.name, items, queries)
    if not (folder / "codebase_chunks.json").exists():
        return _conversations(folder)
    documents = json.loads((folder / "codebase_chunks.json").read_text())
    items = [
        Item(f"{document['original_uuid']}:{chunk['original_index']}", chunk["content"])
        for document in documents
        for chunk in document["chunks"]
    ]
    rows = _lines(folder / "evaluation_set.jsonl")
    queries = [Query(row["query"], frozenset(f"{uuid}:{index}" for uuid, index in row["golden_chunk_uuids"])) for row in rows]
    return Dataset(folder.name, items, queries)


# The questions of this category have no answer.
_UNANSWERABLE = 5


def _conversations(folder: Path) -> Dataset:
    """Read conversations of LoCoMo, without the questions whose answer has no known place.

    https://github.com/snap-research/locomo
    """
    if not (paths := sorted(folder.glob("*.json"))):
        raise FileNotFoundError(f"{folder} has no dataset in a format that `load_dataset` reads")
    items, queries = list[Item](), list[Query]()
    for path in paths:
        conversation = json.loads(path.read_text())
        # The items that contain each message.
        places = defaultdict[str, list[str]](list)
        for session in (f"session_{number}" for number in range(1, len(conversation))):
            for item, messages in _session_items(conversation, session, name=path.stem) if conversation.get(session) else ():
                items.append(item)
                for message in messages:
                    places[message].append(item.id)
        for question in conversation["qa"]:
            gold = frozenset(item_id for message in question.get("evidence", ()) for item_id in places.get(message, ()))
            if gold and question["category"] != _UNANSWERABLE:
                queries.append(Query(str(question["question"]), gold))
    return Dataset(folder.name, items, queries)


def _session_items(conversation: dict[str, Any], session: str, *, name: str) -> Iterator[tuple[Item, list[str]]]:
    """Yield the passages of a session, and the ids of the messages in each. The speaker who begins takes the place of the user."""
    lines, date = conversation[session], conversation[f"{session}_date_time"].rpartition(" on ")[2]
    day = datetime.strptime(date, "%d %B, %Y").replace(tzinfo=UTC)
    roles = ["user" if line["speaker"] == lines[0]["speaker"] else "assistant" for line in lines]
    said = [
        SaidMessage(number, [Utterance(role, f"{line['speaker']}: {line['text']}")], day, role)
        for number, (line, role) in enumerate(zip(lines, roles, strict=True))
    ]
    for number, passage in enumerate(split_into_passages(said)):
        yield Item(f"{name}/{session}:{number}", passage.text), [line["dia_id"] for line in lines[passage.first_seq : passage.last_seq + 1]]


def recall_at(found: Sequence[str], gold: frozenset[str], rank: int) -> float:
    """Return the share of the `gold` items that are among the first `rank` found items."""
    return len(set(found[:rank]) & gold) / len(gold)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
