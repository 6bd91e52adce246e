"""Documents: files whose text can be searched and cited, and the lease under which one worker at a time ingests a file.

Each lease ends at a time of its own, so the worker that was given this time, `held_until`, is the one that holds the lease. Whatever
a worker changes names it, so that a worker whose document another has taken changes nothing: it raises LeaseLost.

Each user has a share of the workers. If the share is taken, a document is marked as waiting; the next worker that finishes
a document of this user queues it.

Users can read their own documents, documents shared with everybody, and documents shared with a group of theirs. Only the
owner can change a document.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Row, and_, case, delete, desc, func, or_, select, text, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from parley.db.groups.shares import select_readable
from parley.db.row_page import matches_title_or_id
from parley.db.tables import chunks, documents
from parley.errors import NotFound

type DocumentStatus = Literal["queued", "processing", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class Document:
    """A document. `progress` runs from 0 to 1.

    `error_code` and `error` explain why ingestion failed; `note` says what a ready document lacks, such as vectors.
    `attempts` counts how often a worker has taken the lease since the last progress. `failures` counts the current attempt and
    those earlier ones whose failure the document itself may have caused. `leased_until` is the end of the newest lease.
    """

    user_id: UUID
    id: UUID
    title: str
    filename: str
    content_type: str
    bytes: int
    status: DocumentStatus
    progress: float
    chunks: int
    error_code: str | None
    error: str | None
    note: str | None
    attempts: int
    failures: int
    is_shared: bool
    created_at: datetime
    leased_until: datetime | None


class LeaseLost(Exception):
    """The lease ended before the worker had extended it, and another worker took the document or has finished it."""

    def __init__(self, document_id: UUID) -> None:
        super().__init__(f"document {document_id}")


_COLUMNS = tuple(documents.c[field.name] for field in fields(Document))
_LOCK_SHARE = text("SELECT pg_advisory_xact_lock(hashtextextended(:user_id || ' documents', 0))")


def add(connection: Connection, document_id: UUID, *, user_id: UUID, **values: Any) -> Document | None:
    """Store a document before its file is uploaded; `values` are title, filename, content_type, bytes and sha256.

    Returns None, and stores nothing, if the user already has a document with the same bytes, even if a concurrent request stores it.
    """
    statement = insert(documents).values(user_id=user_id, id=document_id, **values).on_conflict_do_nothing().returning(*_COLUMNS)
    row = connection.execute(statement).one_or_none()
    return _to_document(row) if row else None


def get(connection: Connection, document_id: UUID, *, user_id: UUID) -> Document:
    """Return a document that the user can read, or raise NotFound."""
    row = connection.execute(select_readable(_COLUMNS, documents.c.id == document_id, user_id=user_id)).one_or_none()
    return _to_document_or_raise(row, document_id)


def check_readable(connection: Connection, document_ids: Sequence[UUID], *, user_id: UUID) -> None:
    """Raise NotFound unless the user can read every one of the documents."""
    if not document_ids:
        return
    rows = connection.execute(select_readable([documents.c.id], documents.c.id.in_(document_ids), user_id=user_id))
    if missing := set(document_ids) - {row.id for row in rows}:
        raise NotFound("document", missing.pop())


def find_by_content(connection: Connection, sha256: bytes, *, user_id: UUID) -> Document | None:
    """Return the user's document with this SHA-256 that has not failed, or None."""
    which = (documents.c.user_id == user_id, documents.c.sha256 == sha256, documents.c.status != "failed")
    row = connection.execute(select(*_COLUMNS).where(*which)).one_or_none()
    return _to_document(row) if row else None


def count(connection: Connection, *, user_id: UUID) -> int:
    """Return the number of the user's own documents."""
    return int(connection.execute(select(func.count()).where(documents.c.user_id == user_id)).scalar_one())


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None, matching: str = "") -> list[Document]:
    """Return up to `limit` documents that the user can read and that follow the document `after`, newest first.

    The text `matching` is a part of their titles, in any case, or the beginning of their ids.
    """
    condition = and_(documents.c.id < after if after else true(), matches_title_or_id(documents, matching))
    found = select_readable(_COLUMNS, condition, user_id=user_id)
    return [_to_document(row) for row in connection.execute(found.order_by(desc("id")).limit(limit))]


def change(connection: Connection, document_id: UUID, *, user_id: UUID, changes: dict[str, Any]) -> Document:
    """Set `title` and `is_shared` of the user's own document and return it, or raise NotFound.

    Sharing applies to the document's chunks too.
    """
    if not changes:
        return get(connection, document_id, user_id=user_id)
    row = connection.execute(update(documents).where(*_owned(document_id, user_id)).values(changes).returning(*_COLUMNS)).one_or_none()
    document = _to_document_or_raise(row, document_id)
    which = (chunks.c.user_id == user_id, chunks.c.document_id == document_id, chunks.c.is_shared != document.is_shared)
    connection.execute(update(chunks).where(*which).values(is_shared=document.is_shared))
    return document


def remove(connection: Connection, document_id: UUID, *, user_id: UUID) -> None:
    """Delete the user's own document and its chunks, or raise NotFound."""
    if connection.execute(delete(documents).where(*_owned(document_id, user_id))).rowcount == 0:
        raise NotFound("document", document_id)


def acquire_lease(connection: Connection, document_id: UUID, *, user_id: UUID, lease_s: float) -> Document | None:
    """Take the lease on a document for `lease_s` seconds. Raises NotFound.

    Returns None if another worker has the lease or ingestion has failed. A ready document can be leased, to add missing
    vectors, and stays ready. The attempt counts as a failure until the worker reports progress or is excused, so that an
    attempt that kills its worker counts too.
    """
    which = (*_owned(document_id, user_id), documents.c.status != "failed", _is_free())
    values = {
        "status": case((documents.c.status == "ready", "ready"), else_="processing"),
        "leased_until": _from_now(lease_s),
        "has_worker": True,
        "is_waiting": False,
        "attempts": documents.c.attempts + 1,
        "failures": documents.c.failures + 1,
    }
    row = connection.execute(update(documents).where(*which).values(values).returning(*_COLUMNS)).one_or_none()
    if row is None:
        get(connection, document_id, user_id=user_id)
        return None
    return _to_document(row)


def renew_lease(connection: Connection, document_id: UUID, *, user_id: UUID, held_until: datetime, lease_s: float) -> datetime:
    """Extend the lease that ends at `held_until` to `lease_s` seconds, and return its new end. The attempt still counts.

    Raises LeaseLost, and NotFound if the document was deleted meanwhile.
    """
    return _extend(connection, document_id, user_id, held_until, lease_s)


def report_progress(
    connection: Connection, document_id: UUID, *, user_id: UUID, progress: float, held_until: datetime, lease_s: float
) -> datetime:
    """Record the progress and extend the lease as `renew_lease` does. Attempts and failures count from zero again."""
    new_progress = case((documents.c.status == "ready", 1.0), else_=func.greatest(documents.c.progress, progress))
    return _extend(connection, document_id, user_id, held_until, lease_s, progress=new_progress, attempts=0, failures=0)


def lock_processed(connection: Connection, *, user_id: UUID) -> int:
    """Lock the user's share of the workers until the transaction ends, and return how many documents have a live worker.

    Without the lock, a document could start to wait just after the worker that should queue it has looked for waiting documents.
    """
    connection.execute(_LOCK_SHARE, {"user_id": str(user_id)})
    which = (documents.c.user_id == user_id, documents.c.has_worker, documents.c.leased_until >= func.clock_timestamp())
    return int(connection.execute(select(func.count()).where(*which)).scalar_one())


def set_waiting(connection: Connection, document_id: UUID, *, user_id: UUID) -> None:
    """Make a document wait for the user's share of the workers. Raises NotFound.

    Has no effect if the document is leased or has failed.
    """
    which = (*_owned(document_id, user_id), documents.c.status != "failed", _is_free())
    if connection.execute(update(documents).where(*which).values(is_waiting=True)).rowcount == 0:
        get(connection, document_id, user_id=user_id)


def take_waiting(connection: Connection, *, user_id: UUID, limit: int) -> list[UUID]:
    """Mark up to `limit` waiting documents as no longer waiting, and return their ids. The caller queues them.

    Interrupted documents are taken first, then new, then ready documents.
    """
    order = (documents.c.status, documents.c.id)  # alphabetically: processing, queued, ready
    waiting = select(documents.c.id).where(documents.c.user_id == user_id, documents.c.is_waiting).order_by(*order).limit(limit)
    which = (documents.c.user_id == user_id, documents.c.id.in_(waiting.scalar_subquery()))
    return list(connection.execute(update(documents).where(*which).values(is_waiting=False).returning(documents.c.id)).scalars())


def set_content_hash(connection: Connection, document_id: UUID, sha256: bytes, *, user_id: UUID, held_until: datetime) -> Document | None:
    """Store the SHA-256 of the document's file. Raises LeaseLost and NotFound.

    If the user has another document with the same bytes, return that document and store nothing.
    """
    try:
        with connection.begin_nested():
            _update(connection, document_id, user_id, held_until, sha256=sha256)
    except IntegrityError:  # the unique index also covers a document stored concurrently
        return find_by_content(connection, sha256, user_id=user_id)
    return None


def set_chunk_count(connection: Connection, document_id: UUID, *, user_id: UUID, held_until: datetime, chunks: int) -> None:
    """Record that the whole file has been read into `chunks` chunks. Raises LeaseLost and NotFound."""
    _update(connection, document_id, user_id, held_until, chunks=chunks)


def release_lease(
    connection: Connection, document_id: UUID, *, user_id: UUID, held_until: datetime, after_s: float = 0, is_excused: bool = False
) -> None:
    """Release the lease after `after_s` seconds, so that another worker can continue. Raises LeaseLost and NotFound.

    Set `is_excused` if an outage or a busy model ended the attempt, so that it does not count as a failure of the document.
    """
    failures = func.greatest(documents.c.failures - 1, 0) if is_excused else documents.c.failures
    leased_until = _from_now(after_s) if after_s else None
    _update(connection, document_id, user_id, held_until, leased_until=leased_until, has_worker=False, failures=failures)


def requeue(connection: Connection, document_id: UUID, *, user_id: UUID, held_until: datetime) -> None:
    """Queue a document whose file has not been uploaded yet, without counting the attempt. Raises LeaseLost and NotFound."""
    _update(connection, document_id, user_id, held_until, status="queued", leased_until=None, has_worker=False, attempts=0, failures=0)


def mark_ready(
    connection: Connection, document_id: UUID, *, user_id: UUID, held_until: datetime | None, chunks: int, note: str | None
) -> None:
    """Mark a document as ready for search. `note` says what it still lacks. Raises LeaseLost and NotFound.

    `held_until` is None for a document that nobody has leased.
    """
    ready_at = func.coalesce(documents.c.ready_at, func.now())
    values = {"status": "ready", "progress": 1, "chunks": chunks, "note": note, "ready_at": ready_at}
    _update(connection, document_id, user_id, held_until, leased_until=None, has_worker=False, failures=0, **values)


def mark_failed(connection: Connection, document_id: UUID, *, user_id: UUID, held_until: datetime, code: str, reason: str) -> None:
    """Mark a document as failed, with the reason, and delete its chunks. Raises NotFound, and LeaseLost if it is ready or has failed."""
    values = {"status": "failed", "chunks": 0, "error_code": code, "error": reason}
    values |= {"leased_until": None, "has_worker": False, "is_waiting": False}
    _update(connection, document_id, user_id, held_until, documents.c.status != "ready", **values)
    connection.execute(delete(chunks).where(chunks.c.user_id == user_id, chunks.c.document_id == document_id))


def _extend(connection: Connection, document_id: UUID, user_id: UUID, held_until: datetime, lease_s: float, **values: Any) -> datetime:
    extended: datetime = _update(connection, document_id, user_id, held_until, leased_until=_from_now(lease_s), **values).leased_until
    return extended


def _update(
    connection: Connection, document_id: UUID, user_id: UUID, held_until: datetime | None, *conditions: Any, **values: Any
) -> Row[Any]:
    which = (*_owned(document_id, user_id), documents.c.status != "failed", documents.c.leased_until == held_until, *conditions)
    row = connection.execute(update(documents).where(*which).values(**values).returning(documents.c.leased_until)).one_or_none()
    if row is None:
        get(connection, document_id, user_id=user_id)
        raise LeaseLost(document_id)
    return row


def _is_free() -> Any:
    return or_(documents.c.leased_until.is_(None), documents.c.leased_until < func.clock_timestamp())


def _owned(document_id: UUID, user_id: UUID) -> tuple[Any, Any]:
    return documents.c.user_id == user_id, documents.c.id == document_id


def _to_document_or_raise(row: Row[Any] | None, document_id: UUID) -> Document:
    if row is None:
        raise NotFound("document", document_id)
    return _to_document(row)


def _to_document(row: Row[Any]) -> Document:
    return Document(**row._mapping)


def _from_now(seconds: float) -> Any:
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
