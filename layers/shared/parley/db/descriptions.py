"""Descriptions of chunks: what a model says of their place in the document; and what it is shown of a document for that."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, true, update

from parley.db.chunks import StoredChunk
from parley.db.tables import chunks


def missing(connection: Connection, document_id: UUID, *, user_id: UUID, model: str | None, limit: int) -> list[StoredChunk]:
    """Return chunks that have neither a description nor a vector of `model`, in order: after the vector it would come too late."""
    is_without = chunks.c.embedding_model.is_distinct_from(model) if model else true()
    columns = (chunks.c[name] for name in StoredChunk.__dataclass_fields__)
    which = (*_of(document_id, user_id), chunks.c.description.is_(None), is_without)
    return [
        StoredChunk(**row._mapping) for row in connection.execute(select(*columns).where(*which).order_by(chunks.c.number).limit(limit))
    ]


def are_whole(connection: Connection, document_id: UUID, *, user_id: UUID) -> bool:
    """Return whether no chunk of the document is without a description; an empty one is one."""
    statement = select(chunks.c.number).where(*_of(document_id, user_id), chunks.c.description.is_(None)).limit(1)
    return connection.execute(statement).first() is None


def were_given_up(connection: Connection, document_id: UUID, *, user_id: UUID, model: str) -> bool:
    """Return whether a chunk got its vector of `model` without a description: whoever made that had no more to wait for."""
    which = (*_of(document_id, user_id), chunks.c.description.is_(None), chunks.c.embedding_model == model)
    return connection.execute(select(chunks.c.number).where(*which).limit(1)).first() is not None


def add(connection: Connection, document_id: UUID, number: int, description: str, *, user_id: UUID) -> None:
    """Store what a model says of a chunk's place in its document."""
    which = (*_of(document_id, user_id), chunks.c.number == number)
    connection.execute(update(chunks).where(*which).values(description=description))


def tokens(connection: Connection, document_id: UUID, *, user_id: UUID) -> int:
    """Return how long the document's chunks are together, estimated."""
    total = func.coalesce(func.sum(chunks.c.tokens), 0)
    return int(connection.execute(select(total).where(*_of(document_id, user_id))).scalar_one())


def headings(connection: Connection, document_id: UUID, *, user_id: UUID, limit: int) -> list[str]:
    """Return up to `limit` ways to the document's chunks, each once, in the order in which they begin."""
    statement = select(chunks.c.heading).where(*_of(document_id, user_id)).group_by(chunks.c.heading)
    return list(connection.execute(statement.order_by(func.min(chunks.c.number)).limit(limit)).scalars())


def _of(document_id: UUID, user_id: UUID) -> tuple[Any, Any]:
    return chunks.c.user_id == user_id, chunks.c.document_id == document_id
