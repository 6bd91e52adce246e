"""Search in documents."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from functions.documents.desk import Desk
from functions.documents.schemas import FoundOut, SearchOut
from parley.auth.principal import Principal
from parley.db import documents
from parley.db.search import search_chunks
from parley.db.transactions import principal_scope
from parley.metering.limits import BillingSubject


def search(services: Desk, principal: Principal, query: str, *, limit: int, only_in: Sequence[UUID] | None) -> SearchOut:
    """Return the chunks that fit best of all that the user may read. Raises NotFound, Unauthorized and Unavailable."""
    # First of all: nobody spends a user's money on vectors with a session that has ended.
    with principal_scope(services.engine, principal) as connection:
        documents.check_readable(connection, only_in or (), user_id=principal.user_id)
    billing_subject = BillingSubject(principal.user_id, principal.api_key_id)
    vector = services.embedding.query(query, billing_subject=billing_subject)
    with principal_scope(services.engine, principal) as connection:
        found = search_chunks(connection, query, vector, limit=services.reranking.pool(limit), only_in=only_in)
    reranked = services.reranking.reranked(query, found, billing_subject=billing_subject)
    mode: Literal["hybrid", "text"] = "hybrid" if vector else "text"
    items = [FoundOut.model_validate(one) for one in (reranked or found)[:limit]]
    return SearchOut(items=items, mode=mode, reranked=reranked is not None)
