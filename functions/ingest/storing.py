"""From a file to chunks in the database. The same file is always cut alike, so what is stored already is left out."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import batched, islice

from functions.ingest.chunk import Chunk
from functions.ingest.chunking import Cutter
from functions.ingest.claiming import LEASE_S
from functions.ingest.desk import Desk
from functions.ingest.errors import Duplicate
from functions.ingest.reading import read
from parley.db import chunks, documents
from parley.db.chunks import NewChunk
from parley.db.documents import Document
from parley.db.transactions import user_scope
from parley.deadline import Deadline

_AT_ONCE = 64
# For a batch more, and for handing on what is left.
_LEAST_S = 30.0
# What is read and stored is half of the way; descriptions, where there are any, and vectors are the rest.
_HALF = 0.5
_CHARACTERS_A_CHUNK = 1000


def store(services: Desk, document: Document, path: str, *, sha256: bytes, deadline: Deadline) -> int | None:
    """Read and cut the file, store the chunks that are not there yet, and return how many there are; None if the time is up before.

    Raises Unreadable or a kind of it, Unavailable, and NotFound if the document goes meanwhile.
    """
    _check_new(services, document, sha256)
    with user_scope(services.engine, document.user_id) as connection:
        stored = chunks.count(connection, document.id, user_id=document.user_id)
    made = Cutter().cut(read(path, document.filename))
    count = sum(1 for _ in islice(made, stored))
    for batch in batched(_new(made, document), _AT_ONCE, strict=False):
        count += len(batch)
        _add(services, document, batch, count)
        if deadline.left_s < _LEAST_S:
            return None
    with user_scope(services.engine, document.user_id) as connection:
        documents.set_chunk_count(connection, document.id, user_id=document.user_id, chunks=count)
    return count


def _check_new(services: Desk, document: Document, sha256: bytes) -> None:
    """Note what the file is. Raises Duplicate if the user has another document of the same bytes."""
    with user_scope(services.engine, document.user_id) as connection:
        same = documents.set_content_hash(connection, document.id, sha256, user_id=document.user_id)
    if same:
        raise Duplicate(same.title)


def _add(services: Desk, document: Document, batch: Sequence[NewChunk], count: int) -> None:
    expected = max(document.bytes / _CHARACTERS_A_CHUNK, count + 1)
    with user_scope(services.engine, document.user_id) as connection:
        # First of all: it holds off a deletion and a change of the shelf, or finds that they were.
        documents.report_progress(connection, document.id, user_id=document.user_id, progress=_HALF * count / expected, lease_s=LEASE_S)
        is_shared = documents.get(connection, document.id, user_id=document.user_id).is_shared
        chunks.add(connection, document.id, batch, user_id=document.user_id, is_shared=is_shared)


def _new(made: Iterable[Chunk], document: Document) -> Iterator[NewChunk]:
    for chunk in made:
        yield NewChunk(chunk.number, chunk.way(document.title), chunk.text, chunk.page, chunk.start, chunk.tokens)
