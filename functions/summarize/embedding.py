"""Vectors of passages and facts; where no service gives any, text alone finds them until it does."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from sqlalchemy import Connection

from functions.summarize.bill import Bill
from functions.summarize.desk import Desk
from functions.summarize.errors import OutOfTime
from parley import limits
from parley.db import memories, passages
from parley.db.halfvec import Vector
from parley.db.scope import user_scope
from parley.deadline import Deadline
from parley.errors import Unavailable
from parley.limits import BudgetExhausted
from parley.llm.calls import Call
from parley.llm.embedder import batches
from parley.llm.failures import ProviderFailed
from parley.llm.model import Model
from parley.llm.models import NoModel
from parley.llm.types import Message, Request, Usage
from parley.observability import logger

_AT_ONCE = 100
# Vectors that are still missing can wait.
_ENOUGH_S = 20.0


class _Store(Protocol):
    """Rows with vectors."""

    def without_vector(self, connection: Connection, *, user_id: UUID, model: str, limit: int) -> list[tuple[UUID, str]]: ...

    def put_vectors(self, connection: Connection, vectors: Sequence[tuple[UUID, Vector]], *, user_id: UUID) -> None: ...


_STORES: tuple[_Store, ...] = (memories, passages)


def embed(desk: Desk, texts: Sequence[str], *, user_id: UUID) -> list[Vector] | None:
    """Return a vector for each text, None if there are none to be had now: no model, no money, or a service that fails."""
    try:
        catalogue = desk.catalogue()
        call = Call(catalogue.roles.get("embedding", ""), catalogue.embedding(desk.environment))
        return _paid(desk, call, texts, user_id=user_id) if texts else []
    except (NoModel, BudgetExhausted, ProviderFailed, Unavailable) as exc:
        logger.warning("texts have no vectors for now", texts=len(texts), problem=exc.code, reason=str(exc))
        return None


def catch_up(desk: Desk, *, user_id: UUID, deadline: Deadline) -> None:
    """Embed what has no vector of today's model, after an outage or a switch of models. Raises OutOfTime."""
    try:
        model = desk.catalogue().embedding(desk.environment)
    except NoModel:
        return
    for store in _STORES:
        while missing := _missing(desk, store, model, user_id):
            if deadline.left_s < _ENOUGH_S:
                raise OutOfTime("vectors are missing")
            vectors = embed(desk, [text for _, text in missing], user_id=user_id)
            if vectors is None:
                return
            with user_scope(desk.engine, user_id) as connection:
                store.put_vectors(connection, [(id, vector) for (id, _), vector in zip(missing, vectors, strict=True)], user_id=user_id)


def _missing(desk: Desk, store: _Store, model: Model, user_id: UUID) -> list[tuple[UUID, str]]:
    with user_scope(desk.engine, user_id) as connection:
        return store.without_vector(connection, user_id=user_id, model=model.name, limit=_AT_ONCE)


def _paid(desk: Desk, call: Call, texts: Sequence[str], *, user_id: UUID) -> list[Vector]:
    bill, vectors = Bill(desk, user_id), list[Vector]()
    bill.reserve(limits.worst_usd([call.model], Request([Message("user", text) for text in texts])))
    embedder = desk.embedder_for(call.model)
    try:
        for batch in batches(embedder, texts):
            part = embedder.embed_batch(call.model.name, batch, purpose="document")
            vectors += [Vector(call.model.name, numbers) for numbers in part.vectors]
            call.usage = Usage(call.usage.input_tokens + part.input_tokens, is_estimated=call.usage.is_estimated or part.is_estimated)
        call.status = "completed"
    finally:
        bill.settle([call], purpose="embedding")
    return vectors
