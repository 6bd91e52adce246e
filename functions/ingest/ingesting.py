"""From a file to chunks that can be found: read, cut, stored and embedded.

Each step is repeated without harm. The same file is always cut alike, chunk by chunk, so that whoever takes over from a
worker that died leaves out what is stored and goes on behind it. A document that is deleted meanwhile ends the work.
"""

from collections.abc import Iterable, Iterator
from itertools import batched, islice

from functions.ingest.chunk import Chunk
from functions.ingest.chunking import Cutter
from functions.ingest.desk import Desk
from functions.ingest.embedding import embed_all
from functions.ingest.errors import Duplicate, Unreadable
from functions.ingest.notices import Notice
from functions.ingest.reading import read
from parley.db import chunks, documents
from parley.db.chunks import NewChunk
from parley.db.documents import Document
from parley.db.scope import user_scope
from parley.deadline import Deadline
from parley.errors import NotFound, ParleyError
from parley.observability import logger

LEASE_S = 60.0
_AT_ONCE = 64
# What is read and stored is half of the way, vectors are the other.
_HALF = 0.5
_CHARACTERS_A_CHUNK = 1000


class StillBusy(ParleyError):
    """Another worker holds the document: the message comes again."""


def ingest(desk: Desk, notice: Notice, *, deadline: Deadline) -> None:
    """Take a document as far as the time allows, at best until it is ready, or failed for a reason that its owner sees.

    Raises NotFound if it has gone, StillBusy, Unavailable, and ProviderFailed where vectors cannot be had now.
    """
    document = _claimed(desk, notice)
    if document is None:
        return
    try:
        with desk.files.fetched(notice.file_key) as (path, sha256):
            _check_new(desk, document, sha256)
            count = _store(desk, document, path)
        if embed_all(desk, document, count=count, deadline=deadline):
            _finish(desk, document, count)
        else:
            _hand_on(desk, notice)
    except Unreadable as exc:
        _fail(desk, document, exc)
    except NotFound:
        raise
    except Exception:
        _release(desk, document)
        raise


def _claimed(desk: Desk, notice: Notice) -> Document | None:
    """Take the document; a file whose document is gone goes as well. Raises NotFound and StillBusy."""
    try:
        with user_scope(desk.engine, notice.user_id) as connection:
            taken = documents.claim(connection, notice.document_id, user_id=notice.user_id, lease_s=LEASE_S)
            found = taken or documents.get(connection, notice.document_id, user_id=notice.user_id)
    except NotFound:
        desk.files.delete(notice.file_key)
        raise
    if taken is None and found.status in ("queued", "processing"):
        raise StillBusy(str(notice.document_id))
    return taken


def _check_new(desk: Desk, document: Document, sha256: bytes) -> None:
    """Note what the file is. Raises Duplicate if the user has another document of the same bytes."""
    with user_scope(desk.engine, document.user_id) as connection:
        same = documents.by_content(connection, sha256, user_id=document.user_id)
        if same is None:
            documents.change(connection, document.id, user_id=document.user_id, changes={"sha256": sha256})
        elif same.id != document.id:
            raise Duplicate(same.title)


def _store(desk: Desk, document: Document, path: str) -> int:
    """Read and cut the file, store the chunks that are not there yet, and return how many there are. Raises Unreadable."""
    with user_scope(desk.engine, document.user_id) as connection:
        stored = chunks.count(connection, document.id, user_id=document.user_id)
    made = Cutter().cut(read(path, document.filename))
    count = sum(1 for _ in islice(made, stored))
    for batch in batched(_new(made, document), _AT_ONCE, strict=False):
        count += len(batch)
        expected = max(document.bytes / _CHARACTERS_A_CHUNK, count + 1)
        with user_scope(desk.engine, document.user_id) as connection:
            documents.advance(connection, document.id, user_id=document.user_id, progress=_HALF * count / expected, lease_s=LEASE_S)
            chunks.add(connection, document.id, batch, user_id=document.user_id, is_shared=document.is_shared)
    return count


def _new(made: Iterable[Chunk], document: Document) -> Iterator[NewChunk]:
    for chunk in made:
        yield NewChunk(chunk.number, chunk.way(document.title), chunk.text, chunk.page, chunk.start, chunk.tokens)


def _finish(desk: Desk, document: Document, count: int) -> None:
    with user_scope(desk.engine, document.user_id) as connection:
        chunks.remove_from(connection, document.id, count, user_id=document.user_id)
        documents.finish(connection, document.id, user_id=document.user_id, chunks=count)
    logger.info("a document is ready", document_id=str(document.id), chunks=count)


def _hand_on(desk: Desk, notice: Notice) -> None:
    """Let another invocation go on: this one's time is up."""
    with user_scope(desk.engine, notice.user_id) as connection:
        documents.release(connection, notice.document_id, user_id=notice.user_id)
    desk.queue.go_on(notice)


def _release(desk: Desk, document: Document) -> None:
    with user_scope(desk.engine, document.user_id) as connection:
        documents.release(connection, document.id, user_id=document.user_id)


def _fail(desk: Desk, document: Document, reason: Unreadable) -> None:
    logger.info("a document cannot be read", document_id=str(document.id), problem=reason.code, reason=str(reason))
    with user_scope(desk.engine, document.user_id) as connection:
        documents.fail(connection, document.id, user_id=document.user_id, code=reason.code, reason=reason.public_message)
