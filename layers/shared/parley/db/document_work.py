"""The work on a document while it is read: who holds it, how far it is, how it ended."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, case, delete, func, or_, update
from sqlalchemy.exc import IntegrityError

from parley.db import documents
from parley.db.documents import COLUMNS, Document, own, read
from parley.db.tables import chunks as chunk_table
from parley.db.tables import documents as table
from parley.errors import NotFound


def claim(connection: Connection, document_id: UUID, *, user_id: UUID, lease_s: float) -> Document | None:
    """Take a document to work on for `lease_s`, or return None if another does, or it has failed. Raises NotFound.

    One that is ready stays so: it may lack vectors.
    """
    is_free = or_(table.c.leased_until.is_(None), table.c.leased_until < func.clock_timestamp())
    which = (*own(document_id, user_id), table.c.status != "failed", is_free)
    status = case((table.c.status == "ready", "ready"), else_="processing")
    values = {"status": status, "leased_until": _from_now(lease_s), "attempts": table.c.attempts + 1}
    row = connection.execute(update(table).where(*which).values(values).returning(*COLUMNS)).one_or_none()
    if row is None:
        documents.get(connection, document_id, user_id=user_id)
        return None
    return read(row)


def advance(connection: Connection, document_id: UUID, *, user_id: UUID, progress: float, lease_s: float) -> None:
    """Note how far the work is, and go on holding it. Raises NotFound if the document has gone meanwhile."""
    further = case((table.c.status == "ready", 1.0), else_=func.greatest(table.c.progress, progress))
    _work(connection, document_id, user_id, progress=further, leased_until=_from_now(lease_s), attempts=0)


def note_content(connection: Connection, document_id: UUID, sha256: bytes, *, user_id: UUID) -> Document | None:
    """Note what its bytes are, or return the user's other document of the same bytes and note nothing. Raises NotFound."""
    try:
        with connection.begin_nested():
            _work(connection, document_id, user_id, sha256=sha256)
    except IntegrityError:  # there is one, perhaps since a moment ago
        return documents.by_content(connection, sha256, user_id=user_id)
    return None


def note_read(connection: Connection, document_id: UUID, *, user_id: UUID, chunks: int) -> None:
    """Note that the whole file is read, and how many chunks it makes. Raises NotFound."""
    _work(connection, document_id, user_id, chunks=chunks)


def release(connection: Connection, document_id: UUID, *, user_id: UUID, after_s: float = 0) -> None:
    """Let another go on, after `after_s`. Raises NotFound."""
    _work(connection, document_id, user_id, leased_until=_from_now(after_s) if after_s else None)


def put_back(connection: Connection, document_id: UUID, *, user_id: UUID) -> None:
    """Undo the taking of a document whose file is not there yet. Raises NotFound."""
    _work(connection, document_id, user_id, status="queued", leased_until=None, attempts=0)


def finish(connection: Connection, document_id: UUID, *, user_id: UUID, chunks: int, note: str | None) -> None:
    """Note that it can be found, and what it still lacks, if anything. Raises NotFound."""
    first = func.coalesce(table.c.ready_at, func.now())
    done = {"status": "ready", "progress": 1, "chunks": chunks, "note": note, "ready_at": first, "leased_until": None}
    _work(connection, document_id, user_id, **done)


def fail(connection: Connection, document_id: UUID, *, user_id: UUID, code: str, reason: str) -> None:
    """Note why it cannot be read; what was found of it goes. Raises NotFound, also for one that is ready."""
    which = (*own(document_id, user_id), table.c.status.in_(["queued", "processing"]))
    values = {"status": "failed", "chunks": 0, "leased_until": None, "error_code": code, "error": reason}
    if connection.execute(update(table).where(*which).values(values)).rowcount == 0:
        raise NotFound("document", document_id)
    connection.execute(delete(chunk_table).where(chunk_table.c.user_id == user_id, chunk_table.c.document_id == document_id))


def _work(connection: Connection, document_id: UUID, user_id: UUID, **values: Any) -> None:
    which = (*own(document_id, user_id), table.c.status != "failed")
    if connection.execute(update(table).where(*which).values(**values)).rowcount == 0:
        raise NotFound("document", document_id)


def _from_now(seconds: float) -> Any:
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
