"""Rows for measuring search: passages or chunks of one user among those of others, written by COPY.

The texts and vectors are some thousands, used again and again, and the words are analysed beforehand: to have PostgreSQL analyse
each text would take most of the time, and what is measured is reading.
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
_TEXTS, _VECTORS, _DOCUMENT_CHUNKS, _USER_ROWS = 5_000, 20_000, 400, 10_000
_WORDS = {"passages": 90, "chunks": 200}

_COPIES = {
    "passages": "passages (user_id, id, conversation_id, first_seq, last_seq, said_at, text, words, embedding, embedding_model)",
    "chunks": "chunks (user_id, id, document_id, number, heading, start, tokens, text, words, embedding, embedding_model)",
}

# Before this moment in 2026, in microseconds since 2000.
_SAID_AT = struct.pack(">q", 9_800 * 86_400 * 1_000_000)

_INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes i
     WHERE tablename = %(table)s AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conname = i.indexname)
"""

_CONVERSATION = "INSERT INTO conversations (user_id, id) VALUES (%(user_id)s, %(id)s)"

_DOCUMENT = f"""
    INSERT INTO documents (user_id, id, title, filename, content_type, bytes, status, progress, chunks)
    VALUES (%(user_id)s, %(id)s, 'made up', 'made-up.txt', 'text/plain', 1, 'ready', 1, {_DOCUMENT_CHUNKS})
"""


@dataclass(frozen=True, slots=True)
class Case:
    """How much there is: rows of the user and of others, the length of the vectors, and whether these have topics."""

    table: str
    own: int
    others: int
    dimensions: int
    has_topics: bool = True


@dataclass(frozen=True, slots=True)
class _Stock:
    """What rows are made of: texts with their words, and vectors."""

    texts: list[tuple[bytes, bytes]]
    vectors: list[bytes]
    random: random.Random


def fill_table(owner: Engine, case: Case, corpus: Corpus, user_id: UUID) -> None:
    """Store the rows, the user's own spread evenly among the others'."""
    with owner.begin() as connection, cast("psycopg.Connection", connection.connection.driver_connection).cursor() as cursor:
        _copy_rows(cursor, case, corpus, user_id)
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as done:
        done.execute(text(f"VACUUM ANALYZE {case.table}"))
        done.execute(text("VACUUM ANALYZE documents"))


def _copy_rows(cursor: Cursor, case: Case, corpus: Corpus, user_id: UUID) -> None:
    table = case.table
    indexes = cursor.execute(_INDEXES, {"table": table}).fetchall()
    # Generated again, the words would be analysed; COPY does not go with row level security; and indexes are quicker made at once.
    cursor.execute(f"ALTER TABLE {table} ALTER COLUMN words DROP EXPRESSION")
    cursor.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    others = [new_id() for _ in range(-(-case.others // _USER_ROWS))]
    places = {one: list(_parents(cursor, case, one, case.own if one == user_id else 2 * _USER_ROWS)) for one in (user_id, *others)}
    with cursor.copy(f"COPY {_COPIES[table]} FROM STDIN (FORMAT binary)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for row in _rows(case, _stock(case, corpus), user_id, others, places):
            copy.write(struct.pack(">h", len(row)) + b"".join(struct.pack(">i", len(value)) + value for value in row))
        copy.write(struct.pack(">h", -1))
    cursor.execute("SET LOCAL maintenance_work_mem = '1GB'")
    for _, definition in indexes:
        cursor.execute(definition)
    cursor.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def _stock(case: Case, corpus: Corpus) -> _Stock:
    texts = [corpus.words(_WORDS[case.table]) for _ in range(_TEXTS)]
    vectors = [pack_halfvec(corpus.vector()) for _ in range(min(_VECTORS, case.own + case.others))]
    return _Stock([(" ".join(one).encode(), pack_tsvector(one)) for one in texts], vectors, random.Random(11))


def _rows(case: Case, stock: _Stock, user_id: UUID, others: list[UUID], places: dict[UUID, list[UUID]]) -> Iterator[tuple[bytes, ...]]:
    numbers = dict.fromkeys(places, 0)
    for owner_id in _owners(case, user_id, others):
        number, numbers[owner_id] = numbers[owner_id], numbers[owner_id] + 1
        body, words = stock.random.choice(stock.texts)
        of_it = (body, words, stock.random.choice(stock.vectors), MODEL.encode())
        place = places[owner_id][number // _DOCUMENT_CHUNKS if case.table == "chunks" else 0].bytes
        within = _number(number % _DOCUMENT_CHUNKS)
        between = (within, b"", _number(0), _number(270)) if case.table == "chunks" else (_number(1), _number(1), _SAID_AT)
        yield owner_id.bytes, new_id().bytes, place, *between, *of_it


def _owners(case: Case, user_id: UUID, others: list[UUID]) -> Iterator[UUID]:
    total, given = case.own + case.others, 0
    for number in range(total):
        if given * total < case.own * (number + 1):
            given += 1
            yield user_id
        else:
            yield others[number % len(others)]


def _parents(cursor: Cursor, case: Case, user_id: UUID, rows: int) -> Iterator[UUID]:
    """Make a user, and the conversation or the documents that up to so many rows belong to."""
    cursor.execute("INSERT INTO users (id, email) VALUES (%s, %s)", (user_id, f"{user_id}@example.com"))
    count = 1 if case.table == "passages" else -(-rows // _DOCUMENT_CHUNKS)
    for _ in range(count):
        made = new_id()
        cursor.execute(_CONVERSATION if case.table == "passages" else _DOCUMENT, {"user_id": user_id, "id": made})
        yield made


def _number(value: int) -> bytes:
    return struct.pack(">i", value)
