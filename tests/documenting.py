"""Documents that are there before a test asks for them, as the ingest function stores them."""

import secrets
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from parley.db import chunks, documents
from parley.db.chunks import NewChunk
from parley.db.transactions import user_scope
from parley.db.vectors import Vector
from parley.ids import new_id


def written(engine: Engine, person: Any, *texts: str, title: str = "handbook", shared: bool = False, vectors: Any = None) -> UUID:
    """Store a document of the user's with these texts, a chunk and a page each; return its id."""
    document_id, kept = new_id(), {"user_id": person.id}
    fields = {"title": title, "filename": f"{title}.pdf", "content_type": "application/pdf", "bytes": 1, "sha256": secrets.token_bytes(32)}
    made = [NewChunk(number, title, text, number + 1, 0, 10) for number, text in enumerate(texts)]
    with user_scope(engine, person.id) as connection:
        documents.add(connection, document_id, **kept, **fields)
        chunks.add(connection, document_id, made, **kept, is_shared=False)
        if vectors:
            chunks.put_vectors(connection, document_id, {place: Vector("lexical", one) for place, one in enumerate(vectors)}, **kept)
        documents.mark_ready(connection, document_id, **kept, chunks=len(made), note=None)
        if shared:
            documents.change(connection, document_id, **kept, changes={"is_shared": True})
    return document_id
