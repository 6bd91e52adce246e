"""Facts about a user, each with the messages that it was drawn from.

A fact that a newer one took the place of stays, with the time of its end; recall sees only those that hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, delete, insert, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.db.tables import memories, memory_sources
from parley.db.vectors import Vector, vector_columns, vector_parameters
from parley.errors import NotFound

type MemorySource = Literal["user", "extracted"]


@dataclass(frozen=True, slots=True)
class Memory:
    """A fact. `conversation_id` is where it was first said, None where the user wrote it down or that is gone."""

    id: UUID
    text: str
    source: MemorySource
    conversation_id: UUID | None
    created_at: datetime
    superseded_by: UUID | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class MemoryOrigin:
    """A message that a fact was drawn from."""

    conversation_id: UUID
    message_id: UUID


@dataclass(frozen=True, slots=True)
class CurrentFact:
    """A fact that holds, and the cosine of its vector with another; None without vectors of the same model."""

    id: UUID
    text: str
    similarity: float | None


def add(
    connection: Connection,
    memory_id: UUID,
    *,
    user_id: UUID,
    text: str,
    source: MemorySource,
    vector: Vector | None = None,
    origins: Sequence[MemoryOrigin] = (),
    supersedes: Sequence[UUID] = (),
) -> None:
    """Store a fact with its origins and end the ones that it supersedes.

    The transaction fails where an origin's conversation has been deleted meanwhile; then there is nothing to remember.
    """
    values = {"user_id": user_id, "id": memory_id, "text": text, "source": source} | vector_columns(vector)
    connection.execute(insert(memories).values(values))
    add_origins(connection, memory_id, user_id=user_id, origins=origins)
    if supersedes:
        which = (memories.c.user_id == user_id, memories.c.id.in_(supersedes), memories.c.ended_at.is_(None))
        connection.execute(update(memories).where(*which).values(superseded_by=memory_id, ended_at=_NOW))


def add_origins(connection: Connection, memory_id: UUID, *, user_id: UUID, origins: Sequence[MemoryOrigin]) -> None:
    """Note that a fact was said in these messages too; one that is noted already stays."""
    rows = [{"user_id": user_id, "memory_id": memory_id, "message_id": o.message_id, "conversation_id": o.conversation_id} for o in origins]
    if rows:
        connection.execute(upsert(memory_sources).values(rows).on_conflict_do_nothing())


def lock_current(connection: Connection, *, user_id: UUID, vector: Vector | None = None) -> list[CurrentFact]:
    """Return all facts that hold, the nearest to the vector first: what a new fact is to be judged by.

    The transaction keeps others from adding facts of this user until it ends, so that two never store the same.
    """
    connection.execute(_LOCK_MEMORIES, {"user_id": str(user_id)})
    found = connection.execute(_CURRENT_FACTS, {"user_id": user_id} | vector_parameters(vector))
    return [CurrentFact(**row._mapping) for row in found]


def get(connection: Connection, memory_id: UUID, *, user_id: UUID) -> Memory:
    """Return the user's fact, or raise NotFound."""
    row = connection.execute(_GET, {"user_id": user_id, "id": memory_id}).one_or_none()
    if row is None:
        raise NotFound("memory", memory_id)
    return Memory(**row._mapping)


def get_many(connection: Connection, ids: Sequence[UUID], *, user_id: UUID) -> list[Memory]:
    """Return those of the user's facts, in no particular order."""
    return [Memory(**row._mapping) for row in connection.execute(_GET_MANY, {"user_id": user_id, "ids": list(ids)})]


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None) -> list[Memory]:
    """Return up to `limit` facts behind `after`, the newest first, those that have ended too."""
    found = connection.execute(_PAGE, {"user_id": user_id, "after": after, "limit": limit})
    return [Memory(**row._mapping) for row in found]


def change(connection: Connection, memory_id: UUID, *, user_id: UUID, text: str, vector: Vector | None) -> Memory:
    """Give the fact another text, and the text's vector, or raise NotFound. It is the user's own word from now on."""
    values = {"text": text, "source": "user"} | vector_columns(vector)
    which = (memories.c.user_id == user_id, memories.c.id == memory_id)
    if connection.execute(update(memories).where(*which).values(values)).rowcount == 0:
        raise NotFound("memory", memory_id)
    return get(connection, memory_id, user_id=user_id)


def remove(connection: Connection, memory_id: UUID, *, user_id: UUID) -> None:
    """Delete the fact with its vector, or raise NotFound. What it superseded stays ended."""
    if connection.execute(delete(memories).where(memories.c.user_id == user_id, memories.c.id == memory_id)).rowcount == 0:
        raise NotFound("memory", memory_id)


def without_vector(connection: Connection, *, user_id: UUID, model: str, limit: int) -> list[tuple[UUID, str]]:
    """Return id and text of facts that have no vector of this model, after a switch of models or an outage."""
    values = {"user_id": user_id, "model": model, "limit": limit}
    return [(row.id, row.text) for row in connection.execute(_WITHOUT_VECTOR, values)]


def put_vectors(connection: Connection, vectors: Sequence[tuple[UUID, Vector]], *, user_id: UUID) -> None:
    """Store vectors of facts, in place of those that they have."""
    for memory_id, vector in vectors:
        which = (memories.c.user_id == user_id, memories.c.id == memory_id)
        connection.execute(update(memories).where(*which).values(**vector_columns(vector)))


_NOW = text("now()")
_LOCK_MEMORIES = text("SELECT pg_advisory_xact_lock(hashtextextended(:user_id || ' memories', 0))")
_CURRENT_FACTS = text(
    """
    WITH held AS MATERIALIZED (
        SELECT id, text, created_at,
               CASE WHEN embedding_model = CAST(:model AS text) AND vector_dims(embedding) = vector_dims(CAST(:vector AS halfvec))
                    THEN -(embedding <#> CAST(:vector AS halfvec)) END AS similarity
          FROM memories WHERE user_id = :user_id AND ended_at IS NULL
    )
    SELECT id, text, similarity FROM held ORDER BY similarity DESC NULLS LAST, created_at DESC
    """
)
_SELECT_MEMORY = """
    SELECT m.id, m.text, m.source, m.created_at, m.superseded_by, m.ended_at,
           (SELECT s.conversation_id FROM memory_sources s
             WHERE s.user_id = m.user_id AND s.memory_id = m.id ORDER BY s.message_id LIMIT 1) AS conversation_id
      FROM memories m WHERE m.user_id = :user_id
"""
_GET = text(f"{_SELECT_MEMORY} AND m.id = :id")
_GET_MANY = text(f"{_SELECT_MEMORY} AND m.id = ANY(:ids)")
_PAGE = text(f"{_SELECT_MEMORY} AND (CAST(:after AS uuid) IS NULL OR m.id < CAST(:after AS uuid)) ORDER BY m.id DESC LIMIT :limit")
_WITHOUT_VECTOR = text(
    "SELECT id, text FROM memories WHERE user_id = :user_id AND embedding_model IS DISTINCT FROM :model ORDER BY id LIMIT :limit"
)
