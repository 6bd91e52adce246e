"""Memories: facts about a user, each with the messages it was extracted from.

A fact that a newer fact supersedes stays stored, with the time it ended. Only current facts, which have not ended, are
recalled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, delete, insert, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.db import passages
from parley.db.tables import memories, memory_sources
from parley.db.turn.message_parts import utterances
from parley.db.vectors import Vector, vector_columns, vector_parameters
from parley.errors import NotFound
from parley.memory.facts import canonical_fact
from parley.memory.passages import SaidMessage

type MemorySource = Literal["user", "extracted"]


@dataclass(frozen=True, slots=True)
class Memory:
    """A fact. `message_id` is the earliest remaining message that states it, number `seq` of its conversation; None if there is none."""

    id: UUID
    text: str
    source: MemorySource
    conversation_id: UUID | None
    message_id: UUID | None
    seq: int | None
    created_at: datetime
    superseded_by: UUID | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class MemoryOrigin:
    """A message that a fact was extracted from."""

    conversation_id: UUID
    message_id: UUID


@dataclass(frozen=True, slots=True)
class CurrentFact:
    """A current fact. `similarity` is the cosine of its vector and a given vector, None unless both exist and have the same model."""

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
    """Store a fact with its origins, and end the facts it supersedes.

    If an origin's conversation was deleted meanwhile, a foreign key fails the transaction, so that the fact is not stored.
    """
    values = {"user_id": user_id, "id": memory_id, "text": text, "source": source} | vector_columns(vector)
    connection.execute(insert(memories).values(values))
    add_origins(connection, memory_id, user_id=user_id, origins=origins)
    if supersedes:
        which = (memories.c.user_id == user_id, memories.c.id.in_(supersedes), memories.c.ended_at.is_(None))
        connection.execute(update(memories).where(*which).values(superseded_by=memory_id, ended_at=_NOW))


def add_origins(connection: Connection, memory_id: UUID, *, user_id: UUID, origins: Sequence[MemoryOrigin]) -> None:
    """Add origins to a fact. Origins it already has are skipped."""
    fact = {"user_id": user_id, "memory_id": memory_id}
    rows = [fact | {"message_id": origin.message_id, "conversation_id": origin.conversation_id} for origin in origins]
    if rows:
        connection.execute(upsert(memory_sources).values(rows).on_conflict_do_nothing())


def lock_current(connection: Connection, *, user_id: UUID, vector: Vector | None = None) -> list[CurrentFact]:
    """Lock the user's memories until the transaction ends, and return all current facts, most similar to `vector` first.

    The lock lets the caller compare a new fact with all others, and prevents two workers from storing the same fact.
    """
    connection.execute(_LOCK_MEMORIES, {"user_id": str(user_id)})
    rows = connection.execute(_CURRENT_FACTS, {"user_id": user_id} | vector_parameters(vector))
    return [CurrentFact(**row._mapping) for row in rows]


def get(connection: Connection, memory_id: UUID, *, user_id: UUID) -> Memory:
    """Return the user's fact, or raise NotFound."""
    row = connection.execute(_GET, {"user_id": user_id, "id": memory_id}).one_or_none()
    if row is None:
        raise NotFound("memory", memory_id)
    return Memory(**row._mapping)


def get_many(connection: Connection, ids: Sequence[UUID], *, user_id: UUID) -> list[Memory]:
    """Return the user's facts with these ids, in no particular order. Unknown ids are skipped."""
    return [Memory(**row._mapping) for row in connection.execute(_GET_MANY, {"user_id": user_id, "ids": list(ids)})]


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None) -> list[Memory]:
    """Return up to `limit` facts that follow the fact `after`, newest first, including ended facts."""
    rows = connection.execute(_PAGE, {"user_id": user_id, "after": after, "limit": limit})
    return [Memory(**row._mapping) for row in rows]


def change(connection: Connection, memory_id: UUID, *, user_id: UUID, text: str, vector: Vector | None) -> Memory:
    """Replace the fact's text and vector and return it, or raise NotFound. Its source becomes `user`."""
    values = {"text": text, "source": "user"} | vector_columns(vector)
    which = (memories.c.user_id == user_id, memories.c.id == memory_id)
    if connection.execute(update(memories).where(*which).values(values)).rowcount == 0:
        raise NotFound("memory", memory_id)
    return get(connection, memory_id, user_id=user_id)


def forget(connection: Connection, memory_id: UUID, *, user_id: UUID) -> None:
    """Delete a fact, and from search the messages that state it, or raise NotFound. Facts it superseded stay ended.

    These are the messages that it was extracted from, with their answers, and all that contain its words, such as later answers that
    used it. They stay in their conversations, but no memory is made of them again. The other messages of their passages get new
    passages, without vectors until the next memory update.
    """
    memory = get(connection, memory_id, user_id=user_id)
    # A job that has read these messages stores nothing of them afterwards.
    connection.execute(_LOCK_MEMORIES, {"user_id": str(user_id)})
    values = {"user_id": user_id, "id": memory_id}
    found = connection.execute(_FIND_STATING, values | {"text": canonical_fact(memory.text)}).all()
    # A question and its answer may state together what neither states alone.
    stating = {row.passage_id for row in found if row.is_stating}
    forgotten = {row.id for row in found if row.is_stating or row.passage_id not in stating}
    connection.execute(_MARK_FORGOTTEN, {"user_id": user_id, "ids": list(forgotten)})
    left = {
        (row.conversation_id, row.seq): SaidMessage(row.seq, utterances(row.role, row.parts), row.created_at, row.role)
        for row in found
        if row.id not in forgotten
    }
    passages.rewrite(connection, {row.passage_id for row in found if row.passage_id}, left, user_id=user_id)
    connection.execute(delete(memories).where(memories.c.user_id == user_id, memories.c.id == memory_id))


def forgotten_among(connection: Connection, message_ids: Sequence[UUID], *, user_id: UUID) -> set[UUID]:
    """Return those of the messages from which the user has forgotten a fact."""
    return set(connection.execute(_FORGOTTEN, {"user_id": user_id, "ids": list(message_ids)}).scalars())


def without_vector(connection: Connection, *, user_id: UUID, model: str, limit: int) -> list[tuple[UUID, str]]:
    """Return (id, text) of facts without a vector of `model`. A change of models or an outage leaves such facts."""
    values = {"user_id": user_id, "model": model, "limit": limit}
    return [(row.id, row.text) for row in connection.execute(_WITHOUT_VECTOR, values)]


def put_vectors(connection: Connection, rows: Sequence[tuple[UUID, str]], vectors: Sequence[Vector], *, user_id: UUID) -> None:
    """Set the vectors of facts, given as (id, text). A fact that was deleted, or whose text was changed meanwhile, is skipped."""
    for (memory_id, embedded), vector in zip(rows, vectors, strict=True):
        which = (memories.c.user_id == user_id, memories.c.id == memory_id, memories.c.text == embedded)
        connection.execute(update(memories).where(*which).values(**vector_columns(vector)))


_NOW = text("now()")
_LOCK_MEMORIES = text("SELECT pg_advisory_xact_lock(hashtextextended(:user_id || ' memories', 0))")
_CURRENT_FACTS = text(
    """
    WITH facts AS MATERIALIZED (
        SELECT id, text, created_at,
               CASE WHEN embedding_model = CAST(:model AS text) AND vector_dims(embedding) = vector_dims(CAST(:vector AS halfvec))
                    THEN -(embedding <#> CAST(:vector AS halfvec)) END AS similarity
          FROM memories WHERE user_id = :user_id AND ended_at IS NULL
    )
    SELECT id, text, similarity FROM facts ORDER BY similarity DESC NULLS LAST, created_at DESC
    """
)
# A text states the fact if it contains all its words. Long words match by the beginning of their stem: "allergic", "allergy".
_FIND_STATING = text(
    """
    WITH origins AS (
            SELECT m.conversation_id, m.seq FROM memory_sources s JOIN messages m ON m.user_id = s.user_id AND m.id = s.message_id
             WHERE s.user_id = :user_id AND s.memory_id = :id
         ),
         sought AS (
            SELECT string_agg(quote_literal(left(word, 5)) || CASE WHEN length(word) >= 5 THEN ':*' ELSE '' END, ' & ')::tsquery AS words
              FROM unnest(tsvector_to_array(parley_words(:text))) AS word
         ),
         near AS (
            SELECT m.id, m.conversation_id, m.seq FROM origins o
              JOIN messages m ON m.user_id = :user_id AND m.conversation_id = o.conversation_id
             WHERE m.seq = o.seq OR m.seq = o.seq + 1 AND m.role = 'assistant'
         ),
         found AS (
            SELECT p.id, p.conversation_id, p.first_seq, p.last_seq FROM passages p
             WHERE p.user_id = :user_id
               AND (p.words @@ (SELECT words FROM sought)
                    OR EXISTS (SELECT FROM near n WHERE n.conversation_id = p.conversation_id AND n.seq BETWEEN p.first_seq AND p.last_seq))
         ),
         told AS (
            SELECT f.id AS passage_id, m.id, m.conversation_id, m.seq, m.role, m.created_at, m.parts,
                   (SELECT coalesce(string_agg(part ->> 'text', ' '), '') FROM jsonb_array_elements(m.parts) part
                     WHERE part ->> 'type' IN ('text', 'user_message')) AS text
              FROM found f JOIN messages m ON m.user_id = :user_id AND m.conversation_id = f.conversation_id
                                          AND m.seq BETWEEN f.first_seq AND f.last_seq AND m.is_active
             UNION ALL
            SELECT NULL, n.id, n.conversation_id, n.seq, NULL, NULL, NULL, '' FROM near n
         )
    SELECT t.*, t.id IN (SELECT id FROM near) OR coalesce(parley_words(t.text) @@ (SELECT words FROM sought), false) AS is_stating
      FROM told t
    """
)
_MARK_FORGOTTEN = text("UPDATE messages SET is_forgotten = true WHERE user_id = :user_id AND id = ANY(:ids)")
_FORGOTTEN = text("SELECT id FROM messages WHERE user_id = :user_id AND id = ANY(:ids) AND is_forgotten")
_SELECT_MEMORY = """
    SELECT m.id, m.text, m.source, m.created_at, m.superseded_by, m.ended_at, o.conversation_id, o.message_id, o.seq
      FROM memories m
      LEFT JOIN LATERAL (
           SELECT s.conversation_id, s.message_id, t.seq
             FROM memory_sources s JOIN messages t ON t.user_id = s.user_id AND t.id = s.message_id
            WHERE s.user_id = m.user_id AND s.memory_id = m.id ORDER BY s.message_id LIMIT 1) o ON true
     WHERE m.user_id = :user_id
"""
_GET = text(f"{_SELECT_MEMORY} AND m.id = :id")
_GET_MANY = text(f"{_SELECT_MEMORY} AND m.id = ANY(:ids)")
_PAGE = text(f"{_SELECT_MEMORY} AND (CAST(:after AS uuid) IS NULL OR m.id < CAST(:after AS uuid)) ORDER BY m.id DESC LIMIT :limit")
_WITHOUT_VECTOR = text(
    "SELECT id, text FROM memories WHERE user_id = :user_id AND embedding_model IS DISTINCT FROM :model ORDER BY id LIMIT :limit"
)
