"""Documents: files whose text can be found and cited. A user sees their own and the shared ones; only the owner changes one."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Row, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from parley.db.tables import chunks, documents
from parley.errors import NotFound

type DocumentStatus = Literal["queued", "processing", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class Document:
    """A document. `progress` goes from 0 to 1; `error_code` and `error` say why one has failed, `note` what one that is ready lacks.

    `attempts` is how often it was taken up since the work last came further.
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
    is_shared: bool
    created_at: datetime


COLUMNS = tuple(documents.c[field.name] for field in fields(Document))


def add(connection: Connection, document_id: UUID, *, user_id: UUID, **values: Any) -> Document | None:
    """Store a document whose file is still to come; `values` are title, filename, content_type, bytes and sha256.

    Returns None, and stores nothing, if the user has a document of the same bytes, perhaps since a moment ago.
    """
    statement = insert(documents).values(user_id=user_id, id=document_id, **values).on_conflict_do_nothing().returning(*COLUMNS)
    row = connection.execute(statement).one_or_none()
    return read(row) if row else None


def get(connection: Connection, document_id: UUID, *, user_id: UUID) -> Document:
    """Return a document that the user may read, or raise NotFound."""
    row = connection.execute(select(*COLUMNS).where(documents.c.id == document_id, _readable(user_id))).one_or_none()
    return _found(row, document_id)


def check(connection: Connection, document_ids: Sequence[UUID], *, user_id: UUID) -> None:
    """Raise NotFound if one of these is none that the user may read."""
    if not document_ids:
        return
    rows = connection.execute(select(documents.c.id).where(documents.c.id.in_(document_ids), _readable(user_id)))
    if missing := set(document_ids) - {row.id for row in rows}:
        raise NotFound("document", missing.pop())


def by_content(connection: Connection, sha256: bytes, *, user_id: UUID) -> Document | None:
    """Return the user's document with these bytes, if there is one that has not failed."""
    which = (documents.c.user_id == user_id, documents.c.sha256 == sha256, documents.c.status != "failed")
    row = connection.execute(select(*COLUMNS).where(*which)).one_or_none()
    return read(row) if row else None


def count(connection: Connection, *, user_id: UUID) -> int:
    """Return how many documents a user has."""
    return int(connection.execute(select(func.count()).where(documents.c.user_id == user_id)).scalar_one())


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None) -> list[Document]:
    """Return up to `limit` documents that the user may read, newest first."""
    statement = select(*COLUMNS).where(_readable(user_id))
    if after:
        statement = statement.where(documents.c.id < after)
    return [read(row) for row in connection.execute(statement.order_by(documents.c.id.desc()).limit(limit))]


def change(connection: Connection, document_id: UUID, *, user_id: UUID, changes: dict[str, Any]) -> Document:
    """Set title and is_shared of the user's own document and return it, or raise NotFound. Its chunks change shelves with it."""
    if not changes:
        return get(connection, document_id, user_id=user_id)
    row = connection.execute(update(documents).where(*own(document_id, user_id)).values(changes).returning(*COLUMNS)).one_or_none()
    document = _found(row, document_id)
    of_it = (chunks.c.user_id == user_id, chunks.c.document_id == document_id, chunks.c.is_shared != document.is_shared)
    connection.execute(update(chunks).where(*of_it).values(is_shared=document.is_shared))
    return document


def remove(connection: Connection, document_id: UUID, *, user_id: UUID) -> None:
    """Delete the user's own document with its chunks, or raise NotFound."""
    if connection.execute(delete(documents).where(*own(document_id, user_id))).rowcount == 0:
        raise NotFound("document", document_id)


def own(document_id: UUID, user_id: UUID) -> tuple[Any, Any]:
    """Return the conditions that a statement about the user's own document has."""
    return documents.c.user_id == user_id, documents.c.id == document_id


def _readable(user_id: UUID) -> Any:
    return or_(documents.c.user_id == user_id, documents.c.is_shared)


def _found(row: Row[Any] | None, document_id: UUID) -> Document:
    if row is None:
        raise NotFound("document", document_id)
    return read(row)


def read(row: Row[Any]) -> Document:
    """Return a document of a row that has `COLUMNS`."""
    return Document(**row._mapping)
