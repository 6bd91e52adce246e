"""Embeds memories and passages that lack a vector of the current model, after an outage or a change of the model.

Until they have a vector, only full text search finds them.
"""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from functions.summarize.services import SummarizeServices
from parley.db import memories, passages
from parley.db.engine import Connection, Engine
from parley.db.transactions import global_scope, user_scope
from parley.db.vectors import Vector
from parley.deadline import Deadline
from parley.metering.completion import DeadlineTooClose
from parley.metering.limits import BillingSubject
from parley.observability import logger

_BATCH = 100
_MIN_TIME_LEFT_S = 20.0


class VectorStore(Protocol):
    """A table of one user's rows that have a text and a vector."""

    def without_vector(self, connection: Connection, *, user_id: UUID, model: str, limit: int) -> list[tuple[UUID, str]]: ...

    def put_vectors(
        self, connection: Connection, rows: Sequence[tuple[UUID, str]], vectors: Sequence[Vector], *, user_id: UUID
    ) -> None: ...


_STORES: tuple[VectorStore, ...] = (memories, passages)


def incomplete_stores(connection: Connection, *, user_id: UUID, model: str | None) -> list[VectorStore]:
    """Return the tables with rows of the user that lack a vector of `model`: none without a model."""
    if model is None:
        return []
    return [store for store in _STORES if store.without_vector(connection, user_id=user_id, model=model, limit=1)]


def embed_missing(services: SummarizeServices, *, user_id: UUID, deadline: Deadline) -> None:
    """Embed all rows of the user that lack a vector of the current model. Raises the errors of `embed_rows`."""
    with user_scope(services.engine, user_id) as connection:
        incomplete = incomplete_stores(connection, user_id=user_id, model=services.embedding.model_name())
    embed_rows(services, incomplete, user_id=user_id, deadline=deadline)


def embed_rows(services: SummarizeServices, stores: Sequence[VectorStore], *, user_id: UUID, deadline: Deadline) -> None:
    """Embed the rows of `stores` that lack a vector of the current model.

    Return early if there is no embedding model or a call fails. Raises DeadlineTooClose.
    """
    for store in stores:
        while rows := _rows_without_vector(services, store, user_id):
            if deadline.left_s < _MIN_TIME_LEFT_S:
                raise DeadlineTooClose("vectors are still missing")
            vectors = services.embedding.try_vectors([text for _, text in rows], billing_subject=BillingSubject(user_id), deadline=deadline)
            if vectors is None:
                return
            with user_scope(services.engine, user_id) as connection:
                store.put_vectors(connection, rows, vectors, user_id=user_id)


def embed_missing_of_all_users(services: SummarizeServices, deadline: Deadline) -> int:
    """Call `embed_missing` for each user with passages to embed, until the deadline is close. Returns the number of users completed.

    A passage keeps the vector of the previous model until it has a new vector. Until then, full text search finds it.
    """
    if (model := services.embedding.model_name()) is None:
        return 0
    user_id: UUID | None = None
    count = 0
    while deadline.left_s >= _MIN_TIME_LEFT_S and (user_id := _next_user(services.background, model, after=user_id)):
        count += _try_embed_missing(services, user_id, deadline)
    return count


def _next_user(background: Engine, model_name: str, *, after: UUID | None) -> UUID | None:
    with global_scope(background) as connection:
        user_ids = passages.users_without_vectors(connection, model=model_name, after=after, limit=1)
    return user_ids[0] if user_ids else None


def _try_embed_missing(services: SummarizeServices, user_id: UUID, deadline: Deadline) -> bool:
    try:
        embed_missing(services, user_id=user_id, deadline=deadline)
    except DeadlineTooClose:
        return False
    except Exception:
        # Continue with the other users. The next run retries this user.
        logger.exception("vector_backfill_failed", user_id=str(user_id))
        return False
    return True


def _rows_without_vector(services: SummarizeServices, store: VectorStore, user_id: UUID) -> list[tuple[UUID, str]]:
    # The model's name is read for each batch. If the catalogue has changed, rows with vectors of the new model lack the old one's for ever.
    if (model_name := services.embedding.model_name()) is None:
        return []
    with user_scope(services.engine, user_id) as connection:
        return store.without_vector(connection, user_id=user_id, model=model_name, limit=_BATCH)
