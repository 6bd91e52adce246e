"""The vectors of a document's chunks, batch by batch, as far as the time allows."""

from functions.ingest.desk import Desk
from parley.db import chunks, documents
from parley.db.documents import Document
from parley.db.halfvec import Vector
from parley.db.scope import user_scope
from parley.deadline import Deadline

AT_ONCE = 64
_LEASE_S = 60.0
_BATCH_S = 30.0
_HALF = 0.5


def embed_all(desk: Desk, document: Document, *, count: int, deadline: Deadline) -> bool:
    """Give every chunk its vector; False if the time is up before. Without a model that makes vectors there is nothing to do.

    Raises NotFound if the document has gone, Unavailable, BudgetExhausted and ProviderFailed.
    """
    model_id = desk.embedding.model_id()
    while model_id is not None:
        with user_scope(desk.engine, document.user_id) as connection:
            left = chunks.unembedded(connection, document.id, user_id=document.user_id, model=model_id, limit=AT_ONCE)
        if not left:
            break
        if deadline.left_s < _BATCH_S:
            return False
        made = desk.embedding.embed([chunk.embedded_text for chunk in left], user_id=document.user_id, purpose="document")
        vectors = {chunk.number: Vector(made.model_id, vector) for chunk, vector in zip(left, made.vectors, strict=True)}
        progress = _HALF + _HALF * (left[-1].number + 1) / max(count, 1)
        with user_scope(desk.engine, document.user_id) as connection:
            documents.advance(connection, document.id, user_id=document.user_id, progress=progress, lease_s=_LEASE_S)
            chunks.embed(connection, document.id, vectors, user_id=document.user_id)
    return True
