"""Fill a table for search benchmarks with COPY: passages or chunks of one user among those of other users.

A few thousand texts and vectors are reused, and their words are analysed in Python. If PostgreSQL analysed every text, writing
the rows would take most of the time, although only searches are measured.
"""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import psycopg
from psycopg import Cursor
from sqlalchemy import Engine, text

from bench.retrieval.corpus import Corpus, pack_halfvec, pack_tsvector
from parley.ids import new_id

MODEL = "m"
_TEXTS = 5_000
_VECTORS = 20_000
_CHUNKS_PER_DOCUMENT = 400
_ROWS_PER_USER = 10_000
_WORDS_PER_ROW = {"passages": 90, "chunks": 200}

_COPIES = {
    "passages": "passages (user_id, id, conversation_id, first_seq, last_seq, said_at, text, words, embedding, embedding_model)",
    "chunks": "chunks (user_id, id, document_id, number, heading, start, tokens, text, words, embedding, embedding_model)",
}

# A fixed moment in 2026, in microseconds since 2000.
_SAID_AT = struct.pack(">q", 9_800 * 86_400 * 1_000_000)

_INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes i
     WHERE tablename = %(table)s AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conname = i.indexname)
"""

_CONVERSATION = "INSERT INTO conversations (user_id, id) VALUES (%(user_id)s, %(id)s)"

_DOCUMENT = f"""
    INSERT INTO documents (user_id, id, title, filename, content_type, bytes, status, progress, chunks)
    VALUES (%(user_id)s, %(id)s, 'made up', 'made-up.txt', 'text/plain', 1, 'ready', 1, {_CHUNKS_PER_DOCUMENT})
"""


@dataclass(frozen=True, slots=True)
class Case:
    """The size of a benchmark: rows of the user and of others, vector dimensions, and whether vectors have topics."""

    table: str
    own: int
    others: int
    dimensions: int
    has_topics: bool = True


@dataclass(frozen=True, slots=True)
class _RowContents:
    """The contents that rows choose from at random: texts, each with its `tsvector`, and vectors."""

    texts: list[tuple[bytes, bytes]]
    vectors: list[bytes]
    random: random.Random


def fill_table(owner: Engine, case: Case, corpus: Corpus, user_id: UUID) -> None:
    """Write the rows, with the user's rows evenly distributed among the others."""
    with owner.begin() as connection, cast("psycopg.Connection", connection.connection.driver_connection).cursor() as cursor:
        _copy_rows(cursor, case, corpus, user_id)
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM ANALYZE {case.table}"))
        connection.execute(text("VACUUM ANALYZE documents"))


def _copy_rows(cursor: Cursor, case: Case, corpus: Corpus, user_id: UUID) -> None:
    table = case.table
    indexes = cursor.execute(_INDEXES, {"table": table}).fetchall()
    # A trigger would analyse the words, COPY does not support row level security, and indexes build faster at the end.
    cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER set_words")
    cursor.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    others = [new_id() for _ in range(-(-case.others // _ROWS_PER_USER))]
    parents = {
        owner_id: list(_create_parents(cursor, case, owner_id, case.own if owner_id == user_id else 2 * _ROWS_PER_USER))
        for owner_id in (user_id, *others)
    }
    with cursor.copy(f"COPY {_COPIES[table]} FROM STDIN (FORMAT binary)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for row in _rows(case, _row_contents(case, corpus), user_id, others, parents):
            copy.write(struct.pack(">h", len(row)) + b"".join(struct.pack(">i", len(value)) + value for value in row))
        copy.write(struct.pack(">h", -1))
    cursor.execute("SET LOCAL maintenance_work_mem = '1GB'")
    for _, definition in indexes:
        cursor.execute(definition)
    cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER set_words")
    cursor.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def _row_contents(case: Case, corpus: Corpus) -> _RowContents:
    texts = [corpus.words(_WORDS_PER_ROW[case.table]) for _ in range(_TEXTS)]
    vectors = [pack_halfvec(corpus.vector()) for _ in range(min(_VECTORS, case.own + case.others))]
    return _RowContents([(" ".join(words).encode(), pack_tsvector(words)) for words in texts], vectors, random.Random(11))


def _rows(
    case: Case, contents: _RowContents, user_id: UUID, others: list[UUID], parents: dict[UUID, list[UUID]]
) -> Iterator[tuple[bytes, ...]]:
    """Yield the columns of each row in the order and the binary format of COPY."""
    numbers = dict.fromkeys(parents, 0)
    for owner_id in _owners(case, user_id, others):
        number = numbers[owner_id]
        numbers[owner_id] += 1
        body, words = contents.random.choice(contents.texts)
        last_columns = (body, words, contents.random.choice(contents.vectors), MODEL.encode())
        parent = parents[owner_id][number // _CHUNKS_PER_DOCUMENT if case.table == "chunks" else 0].bytes
        chunk_number = _number(number % _CHUNKS_PER_DOCUMENT)
        middle_columns = (chunk_number, b"", _number(0), _number(270)) if case.table == "chunks" else (_number(1), _number(1), _SAID_AT)
        yield owner_id.bytes, new_id().bytes, parent, *middle_columns, *last_columns


def _owners(case: Case, user_id: UUID, others: list[UUID]) -> Iterator[UUID]:
    total = case.own + case.others
    own = 0
    for number in range(total):
        if own * total < case.own * (number + 1):
            own += 1
            yield user_id
        else:
            yield others[number % len(others)]


def _create_parents(cursor: Cursor, case: Case, user_id: UUID, rows: int) -> Iterator[UUID]:
    """Create a user and yield the ids of a new conversation, or of enough new documents, for `rows` rows."""
    cursor.execute("INSERT INTO users (id, email) VALUES (%s, %s)", (user_id, f"{user_id}@example.com"))
    count = 1 if case.table == "passages" else -(-rows // _CHUNKS_PER_DOCUMENT)
    for _ in range(count):
        parent_id = new_id()
        cursor.execute(_CONVERSATION if case.table == "passages" else _DOCUMENT, {"user_id": user_id, "id": parent_id})
        yield parent_id


def _number(value: int) -> bytes:
    return struct.pack(">i", value)
