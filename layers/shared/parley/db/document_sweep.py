"""Documents that somebody has to take up again, of all users. Both need the background role."""

from uuid import UUID

from sqlalchemy import Connection, func, or_, select, tuple_

from parley.db.tables import chunks, documents


def unfinished(connection: Connection, *, limit: int, older_than_s: float) -> list[tuple[UUID, UUID]]:
    """Return user and id of documents that nobody has worked on for so long, oldest first."""
    since = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, older_than_s)
    is_left = or_(documents.c.leased_until < since, documents.c.leased_until.is_(None) & (documents.c.created_at < since))
    statement = select(documents.c.user_id, documents.c.id).where(documents.c.status.in_(["queued", "processing"]), is_left)
    return [(row.user_id, row.id) for row in connection.execute(statement.order_by(documents.c.created_at).limit(limit))]


def without_vectors(connection: Connection, *, model: str, limit: int, after: tuple[UUID, UUID] | None) -> list[tuple[UUID, UUID]]:
    """Return user and id of documents that are ready and have chunks without a vector of `model`."""
    of_it = (chunks.c.user_id == documents.c.user_id, chunks.c.document_id == documents.c.id)
    is_without = select(chunks.c.document_id).where(*of_it, chunks.c.embedding_model.is_distinct_from(model)).exists()
    key = tuple_(documents.c.user_id, documents.c.id)
    statement = select(documents.c.user_id, documents.c.id).where(documents.c.status == "ready", is_without)
    if after:
        statement = statement.where(key > tuple_(*after))
    rows = connection.execute(statement.order_by(documents.c.user_id, documents.c.id).limit(limit))
    return [(row.user_id, row.id) for row in rows]
