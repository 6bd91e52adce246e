"""Recall of search by words, by vectors and by both: `python -m bench.retrieval.quality FOLDER --stdlib`.

Stores a dataset (`bench/retrieval/datasets.py`) as passages and as chunks of one user in a database of its own, once with the lexical model
and once with the built-in one, and searches with the statements that turns and routes use. `--stdlib` measures a second set, made from
Python's own library: the first sentence of a function's docstring is the query, its code without the docstring the item to find.
`--packages` does the same with the library's packages, the set on which weights are chosen. `--prose` measures docstrings without code:
the first paragraph is the query, the others are the item to find.
"""

import argparse
import ast
import hashlib
import sysconfig
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from uuid import UUID

from sqlalchemy import Engine, text

from bench.harness import machine
from bench.harness.database import running_database
from bench.harness.documents import DOCS, markers, with_section
from bench.harness.tables import format_figure, table
from bench.retrieval.datasets import Dataset, Item, Query, load_dataset, recall_at
from parley.db import search
from parley.db.chunks import search_chunks
from parley.db.engine import make_engine
from parley.db.transactions import user_scope
from parley.db.vectors import Vector, vector_parameters
from parley.ids import new_id
from parley.llm.vendors.offline_search import OfflineEmbedder

RESULTS = Path(__file__).parents[1] / "results"
RECALL_AT = (5, 10, 20)
MODES = ("text", "semantic", "hybrid")
_SAID_AT = datetime(2026, 5, 8, tzinfo=UTC)
# Folders below the library that are not part of it, or have code that no caller uses.
_NO_LIBRARY = {"site-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo", "ensurepip"}
_MIN_CHARACTERS, _MAX_CHARACTERS, _MIN_QUERY_WORDS = 200, 1500, 5
_MAX_QUERY_CHARACTERS = 300

type Embed = Callable[[str], Sequence[float]]

_USER = "INSERT INTO users (id, email) VALUES (:user_id, :email)"
_CONVERSATION = "INSERT INTO conversations (user_id, id) VALUES (:user_id, :id)"
_DOCUMENT = """
    INSERT INTO documents (user_id, id, title, filename, content_type, bytes, status, progress, chunks)
    VALUES (:user_id, :id, 'document', 'document.txt', 'text/plain', 1, 'ready', 1, :chunks)
"""
_PASSAGE = """
    INSERT INTO passages (user_id, id, conversation_id, first_seq, last_seq, said_at, text, embedding, embedding_model)
    VALUES (:user_id, :id, :parent, :number, :number, :said_at, :text, CAST(:vector AS halfvec), :model)
"""
_CHUNK = """
    INSERT INTO chunks (user_id, id, document_id, number, heading, start, tokens, text, embedding, embedding_model)
    VALUES (:user_id, :id, :parent, :number, '', 0, 1, :text, CAST(:vector AS halfvec), :model)
"""
_BYTES = "SELECT pg_table_size('{table}') / count(*), pg_indexes_size('{table}') / count(*) FROM {table}"


@dataclass(frozen=True, slots=True)
class Stored:
    """A dataset in the database: the item of each row, and the model of its vectors."""

    engine: Engine
    user_id: UUID
    items: dict[UUID, str]
    table: str
    model: str

    def found(self, query: str, vector: Sequence[float], mode: str) -> list[str]:
        """Return the ids of the items found, best first."""
        words = "" if mode == "semantic" else query
        numbers = None if mode == "text" else Vector(self.model, vector)
        with user_scope(self.engine, self.user_id) as connection:
            if self.table == "chunks":
                return [self.items[chunk.id] for chunk in search_chunks(connection, words, numbers, limit=max(RECALL_AT))]
            passages = search.search_passages(connection, words, user_id=self.user_id, vector=numbers, limit=max(RECALL_AT))
            return [self.items[passage.id] for passage in passages]


def standard_library() -> Dataset:
    """Return functions of Python's library as items, and the first sentences of their docstrings as queries.

    Two fifths of them, chosen by a hash: the same in every run with one version of Python.
    """
    return _dataset("stdlib", _library_files("*.py"), _documented_functions, share=100)


def library_packages() -> Dataset:
    """Return half of the functions in the packages of Python's library, as `standard_library` does with its modules."""
    return _dataset("packages", _library_files("*/**/*.py"), _documented_functions, share=128)


def library_prose() -> Dataset:
    """Return the explanations in docstrings of Python's library as items, and the first paragraphs of these docstrings as queries.

    Five eighths of them, chosen by a hash. Docstrings with examples of code are left out.
    """
    return _dataset("prose", _library_files("*.py") | _library_files("*/**/*.py"), explanations, share=160)


def _library_files(pattern: str) -> dict[str, Path]:
    root = Path(sysconfig.get_path("stdlib"))
    paths = (path.relative_to(root) for path in root.glob(pattern))
    return {str(path): root / path for path in paths if _NO_LIBRARY.isdisjoint(path.parts)}


def _dataset(name: str, paths: Mapping[str, Path], texts_of: Callable[[Path], Iterator[tuple[str, str]]], *, share: int) -> Dataset:
    """Return `share` of 256 queries and texts in the files, as items named by the keys of `paths`."""
    items, queries = list[Item](), list[Query]()
    for key, path in sorted(paths.items()):
        for number, (query, body) in enumerate(texts_of(path)):
            if hashlib.sha256(f"{key}:{query}".encode()).digest()[0] < share:
                items.append(Item(f"{key}:{number}", body))
                queries.append(Query(query, frozenset([items[-1].id])))
    return Dataset(name, items, queries)


def explanations(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the first paragraph and the others of each docstring in a file, without those that are short, long or show code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8", errors="replace"))):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        summary, _, rest = (ast.get_docstring(node) or "").partition("\n\n")
        query, body = " ".join(summary.split()), rest.strip()
        is_query = len(query.split()) >= _MIN_QUERY_WORDS and len(query) <= _MAX_QUERY_CHARACTERS
        if is_query and _MIN_CHARACTERS <= len(body) <= _MAX_CHARACTERS and ">>>" not in body:
            yield query, body


def _documented_functions(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8", errors="replace"))):
        if not isinstance(node, ast.FunctionDef) or not (documentation := ast.get_docstring(node)):
            continue
        node.body = node.body[1:] or [ast.Pass()]
        code, query = ast.unparse(node), documentation.split("\n\n")[0].replace("\n", " ")
        if _MIN_CHARACTERS <= len(code) <= _MAX_CHARACTERS and len(query.split()) >= _MIN_QUERY_WORDS:
            yield query, code


def store(app: Engine, owner: Engine, dataset: Dataset, *, table_name: str, model: str, vectors: Sequence[Sequence[float]]) -> Stored:
    """Write a dataset as rows of a new user. Items of one source (`source:number`) are neighbours in one conversation or document."""
    user_id, rows = new_id(), dict[UUID, str]()
    groups = defaultdict[str, list[int]](list)
    for index, item in enumerate(dataset.items):
        groups[item.id.rpartition(":")[0]].append(index)
    with owner.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table_name} NO FORCE ROW LEVEL SECURITY"))
        for name in ("users", "conversations", "documents"):
            connection.execute(text(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY"))
        connection.execute(text(_USER), {"user_id": user_id, "email": f"{user_id}@example.com"})
        for indexes in groups.values():
            parent = new_id()
            statement = _CONVERSATION if table_name == "passages" else _DOCUMENT
            connection.execute(text(statement), {"user_id": user_id, "id": parent, "chunks": len(indexes)})
            values = []
            for number, index in enumerate(indexes):
                rows[row_id := new_id()] = dataset.items[index].id
                row = {"user_id": user_id, "id": row_id, "parent": parent, "number": number, "text": dataset.items[index].text}
                values.append(row | {"said_at": _SAID_AT} | vector_parameters(Vector(model, vectors[index])))
            connection.execute(text(_PASSAGE if table_name == "passages" else _CHUNK), values)
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM ANALYZE {table_name}"))
    return Stored(app, user_id, rows, table_name, model)


def recall_rows(stored: Stored, dataset: Dataset, vectors: Sequence[Sequence[float]]) -> Iterator[list[str]]:
    """Yield a table row for each mode: recall at each rank, in percent."""
    for mode in MODES:
        if mode == "text" and stored.model != "lexical":
            continue  # the same as with the other model
        found = [stored.found(query.text, vector, mode) for query, vector in zip(dataset.queries, vectors, strict=True)]
        means = [fmean(recall_at(ids, q.gold, rank) for ids, q in zip(found, dataset.queries, strict=True)) for rank in RECALL_AT]
        model = "" if mode == "text" else stored.model
        yield [dataset.name, stored.table, mode, model, *(format_figure(100 * mean) for mean in means)]


def embedders() -> dict[str, Embed]:
    """Return the embedding models that need no key, by name."""
    import struct

    from functions.embedder.sentence_model import SentenceModel

    lexical, builtin = OfflineEmbedder(dimensions=384), SentenceModel()
    return {
        "lexical": lambda words: lexical.embed_batch("lexical", [words], purpose="query").vectors[0],
        "all-MiniLM-L6-v2": lambda words: struct.unpack("<384f", builtin.embed(words)[0]),
    }


def measure(datasets: Sequence[Dataset]) -> str:
    """Measure each dataset in both tables with both models, and return the Markdown document."""
    rows: list[list[str]] = []
    costs: list[list[str]] = []
    with running_database() as settings:
        app, owner = make_engine(settings), make_engine(settings, role="owner")
        for dataset in datasets:
            for name, embed in embedders().items():
                began = time.process_time()
                vectors = [embed(item.text) for item in dataset.items]
                cpu_ms = 1000 * (time.process_time() - began) / len(vectors)
                questions = [embed(query.text) for query in dataset.queries]
                for table_name in ("passages", "chunks"):
                    stored = store(app, owner, dataset, table_name=table_name, model=name, vectors=vectors)
                    rows += recall_rows(stored, dataset, questions)
                costs.append([dataset.name, name, format_figure(cpu_ms)])
                print(*rows[-6:], sep="\n", flush=True)
        with owner.connect() as connection:
            for table_name in ("passages", "chunks"):
                table_bytes, index_bytes = connection.execute(text(_BYTES.format(table=table_name))).one()
                costs.append([table_name, "bytes a row, and of its indexes", f"{table_bytes} + {index_bytes}"])
        app.dispose()
        owner.dispose()
    head = ["set", "as", "mode", "vectors", *(f"recall@{rank}" for rank in RECALL_AT)]
    sizes = ", ".join(f"{one.name}: {len(one.items)} items and {len(one.queries)} queries" for one in datasets)
    costs_table = table(["of", "what", "ms of CPU, or bytes"], costs)
    return f"## Recall of search\n\n{machine.header()}\n\n{sizes}.\n\n{table(head, rows)}\n\n{costs_table}\n"


def documented(page: str, document: str) -> str:
    """Return the page with the tables of a measurement, which has a heading of its own."""
    return with_section(page, f"{document.partition('\n')[2].strip()}\n", **markers("recall"))


def main() -> None:
    """Measure, print, and write `bench/results/recall.md`."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval.quality", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folders", type=Path, nargs="*", help="folders of datasets")
    parser.add_argument("--stdlib", action="store_true", help="also measure functions of Python's library")
    parser.add_argument("--packages", action="store_true", help="also measure functions of its packages, on which weights are chosen")
    parser.add_argument("--prose", action="store_true", help="also measure explanations in docstrings, without code")
    parser.add_argument("--print-only", action="store_true", help="write no file")
    parser.add_argument("--write-docs", action="store_true", help=f"write the tables into {DOCS.name} too")
    args = parser.parse_args()
    own_sets = {standard_library: args.stdlib, library_packages: args.packages, library_prose: args.prose}
    document = measure([*map(load_dataset, args.folders), *(made() for made, is_asked in own_sets.items() if is_asked)])
    if not args.print_only:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "recall.md").write_text(document)
    if args.write_docs:
        DOCS.write_text(documented(DOCS.read_text(), document))
    print(document)


if __name__ == "__main__":
    main()
