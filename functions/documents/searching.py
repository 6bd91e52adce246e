"""Search in documents."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from functions.documents.desk import Desk
from functions.documents.schemas import FoundOut, SearchOut
from parley.auth.principal import Principal
from parley.db import chunk_search, documents
from parley.db.scope import principal_scope
from parley.limits import Payer


def search(desk: Desk, principal: Principal, query: str, *, limit: int, only_in: Sequence[UUID] | None) -> SearchOut:
    """Return the chunks that fit best of all that the user may read. Raises NotFound, Unauthorized and Unavailable."""
    # First of all: nobody spends a user's money on vectors with a session that has ended.
    with principal_scope(desk.engine, principal) as connection:
        documents.check(connection, only_in or (), user_id=principal.user_id)
    payer = Payer(principal.user_id, principal.api_key_id)
    vector = desk.embedding.query(query, payer=payer)
    with principal_scope(desk.engine, principal) as connection:
        found = chunk_search.search(connection, query, vector, limit=desk.reranking.pool(limit), only_in=only_in)
    reranked = desk.reranking.reranked(query, found, payer=payer)
    mode: Literal["hybrid", "text"] = "hybrid" if vector else "text"
    items = [FoundOut.model_validate(one) for one in (reranked or found)[:limit]]
    return SearchOut(items=items, mode=mode, reranked=reranked is not None)
