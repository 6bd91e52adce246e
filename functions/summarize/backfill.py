"""Embeds what lacks a vector of the current model: after an outage, or after a switch of models.

Until then only full text search finds it.
"""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from sqlalchemy import Connection

from functions.summarize.services import SummarizeServices
from parley.db import memories, passages
from parley.db.transactions import global_scope, user_scope
from parley.db.vectors import Vector
from parley.deadline import Deadline
from parley.llm.catalogue import NoModel
from parley.metering.completion import DeadlineTooClose
from parley.metering.limits import BillingSubject
from parley.observability import logger

_BATCH = 100
_MIN_TIME_LEFT_S = 20.0


class _VectorStore(Protocol):
    """Rows with vectors."""

    def without_vector(self, connection: Connection, *, user_id: UUID, model: str, limit: int) -> list[tuple[UUID, str]]: ...

    def put_vectors(self, connection: Connection, vectors: Sequence[tuple[UUID, Vector]], *, user_id: UUID) -> None: ...


_STORES: tuple[_VectorStore, ...] = (memories, passages)


def embed_missing(services: SummarizeServices, *, user_id: UUID, deadline: Deadline) -> None:
    """Embed all of the user's that has no vector of today's model, unless there are none to be had. Raises OutOfTime."""
    try:
        model_name = services.embedding.call().model.name
    except NoModel:
        return
    for store in _STORES:
        while missing := _missing(services, store, model_name, user_id):
            if deadline.left_s < _MIN_TIME_LEFT_S:
                raise DeadlineTooClose("vectors are missing")
            vectors = services.embedding.try_vectors([text for _, text in missing], billing_subject=BillingSubject(user_id))
            if vectors is None:
                return
            found = [(id, vector) for (id, _), vector in zip(missing, vectors, strict=True)]
            with user_scope(services.engine, user_id) as connection:
                store.put_vectors(connection, found, user_id=user_id)


def embed_missing_of_all_users(services: SummarizeServices, deadline: Deadline) -> int:
    """Do so for all users, one after the other, as far as the time allows; return how many there were.

    Until a passage has its new vector it keeps the old one, and is found by its words.
    """
    if (model := services.embedding.model_name()) is None:
        return 0
    last: UUID | None = None
    count = 0
    while deadline.left_s >= _MIN_TIME_LEFT_S and (last := _next_user(services, model, after=last)):
        count += _try_embed_missing(services, last, deadline)
    return count


def _next_user(services: SummarizeServices, model_name: str, *, after: UUID | None) -> UUID | None:
    with global_scope(services.background) as connection:
        found = passages.users_without_vectors(connection, model=model_name, after=after, limit=1)
    return found[0] if found else None


def _try_embed_missing(services: SummarizeServices, user_id: UUID, deadline: Deadline) -> bool:
    try:
        embed_missing(services, user_id=user_id, deadline=deadline)
    except DeadlineTooClose:
        return False
    except Exception:
        # The others have nothing to do with it; the next run comes by again.
        logger.exception("vectors are still missing", user_id=str(user_id))
        return False
    return True


def _missing(services: SummarizeServices, store: _VectorStore, model_name: str, user_id: UUID) -> list[tuple[UUID, str]]:
    with user_scope(services.engine, user_id) as connection:
        return store.without_vector(connection, user_id=user_id, model=model_name, limit=_BATCH)
