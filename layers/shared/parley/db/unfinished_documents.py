"""Documents whose ingestion has not ended. The sweep queues them again. Every function requires the background role."""

from uuid import UUID

from sqlalchemy import Connection, func, or_, select, tuple_

from parley.db.tables import chunks, documents


def find_stalled(connection: Connection, *, limit: int, older_than_s: float) -> list[tuple[UUID, UUID]]:
    """Return (user id, document id) of unfinished documents whose lease ended over `older_than_s` seconds ago, oldest first.

    A document without a lease is found `older_than_s` seconds after its creation. A document that waits for its user's share is
    skipped while one of the user's workers could still queue it.
    """
    since = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, older_than_s)
    is_stalled = or_(documents.c.leased_until < since, documents.c.leased_until.is_(None) & (documents.c.created_at < since))
    other = documents.alias()
    has_live_worker = select(other.c.id).where(other.c.user_id == documents.c.user_id, other.c.leased_until >= since).exists()
    which = (documents.c.status.in_(["queued", "processing"]), is_stalled, ~(documents.c.is_waiting & has_live_worker))
    statement = select(documents.c.user_id, documents.c.id).where(*which)
    return [(row.user_id, row.id) for row in connection.execute(statement.order_by(documents.c.created_at).limit(limit))]


def find_without_vectors(connection: Connection, *, model: str, limit: int, after: tuple[UUID, UUID] | None) -> list[tuple[UUID, UUID]]:
    """Return (user id, document id) of ready documents that have a chunk without a vector of `model`, after the key `after`."""
    of_document = (chunks.c.user_id == documents.c.user_id, chunks.c.document_id == documents.c.id)
    lacks_vector = select(chunks.c.document_id).where(*of_document, chunks.c.embedding_model.is_distinct_from(model)).exists()
    key = tuple_(documents.c.user_id, documents.c.id)
    statement = select(documents.c.user_id, documents.c.id).where(documents.c.status == "ready", lacks_vector)
    if after:
        statement = statement.where(key > tuple_(*after))
    rows = connection.execute(statement.order_by(documents.c.user_id, documents.c.id).limit(limit))
    return [(row.user_id, row.id) for row in rows]
