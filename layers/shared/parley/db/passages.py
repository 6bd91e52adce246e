"""Passages: excerpts of past conversations, stored for search and recall. `parley.db.search` searches them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from parley.db.vectors import Vector, vector_parameters
from parley.ids import new_id
from parley.memory.passages import Passage, SaidMessage, split_into_passages


def replace_turn(
    connection: Connection, conversation_id: UUID, turn_passages: Sequence[Passage], *, user_id: UUID, first_seq: int, last_seq: int
) -> list[tuple[UUID, str]]:
    """Store the passages of the conversation's last turn, whose messages are `first_seq` to `last_seq`, and return their ids and texts.

    They replace the passages of an answer that was regenerated. If the conversation is incognito, its user has turned memory off, or a
    message is forgotten, nothing is stored, and memory is never extracted from these messages. The caller has locked the conversation.
    """
    columns = _passage_columns(turn_passages, None)
    values = {"user_id": user_id, "conversation_id": conversation_id, "first_seq": first_seq, "last_seq": last_seq}
    is_stored = connection.execute(_REPLACE_TURN, values | columns).scalar_one()
    return list(zip(columns["ids"], columns["texts"], strict=True)) if is_stored else []


def covered_ranges(connection: Connection, conversation_id: UUID, *, user_id: UUID, first_seq: int) -> list[range]:
    """Return the numbers of the messages from `first_seq` on that passages contain, as one range for each passage."""
    values = {"user_id": user_id, "conversation_id": conversation_id, "first_seq": first_seq}
    return [range(row.first_seq, row.last_seq + 1) for row in connection.execute(_COVERED, values)]


def add_missing(
    connection: Connection,
    conversation_id: UUID,
    missing: Sequence[Passage],
    *,
    user_id: UUID,
    upto_seq: int,
    vectors: Sequence[Vector] | None = None,
) -> bool:
    """Mark messages up to `upto_seq` as extracted, and store passages of messages that no stored passage contains. Safe to repeat.

    `vectors` has one vector for each passage; if it is None, only full-text search finds the passages until `put_vectors` is called.
    Returns False, and stores nothing, if another run has already extracted more, the conversation is deleted or incognito, or its
    user has turned memory off.
    """
    conversation = {"user_id": user_id, "conversation_id": conversation_id}
    # A separate statement: it locks the conversation, so that the next statement sees the passages of a concurrent run.
    if connection.execute(_MARK_EXTRACTED, conversation | {"upto_seq": upto_seq}).rowcount == 0:
        return False
    if missing:
        connection.execute(_ADD_MISSING, conversation | _passage_columns(missing, vectors))
    return True


def add_imported(connection: Connection, conversation_id: UUID, imported: Sequence[Passage], *, user_id: UUID) -> None:
    """Store passages of imported messages, without vectors. Stores nothing if the conversation is incognito or memory is turned off."""
    if imported:
        values = {"user_id": user_id, "conversation_id": conversation_id} | _passage_columns(imported, None)
        connection.execute(_ADD_IMPORTED, values)


def rewrite(connection: Connection, passage_ids: Collection[UUID], left: Mapping[tuple[UUID, int], SaidMessage], *, user_id: UUID) -> None:
    """Delete passages, and store new ones of the messages that are left of them, given by conversation and number."""
    connection.execute(_DELETE, {"user_id": user_id, "ids": list(passage_ids)})
    for conversation_id in {conversation_id for conversation_id, _ in left}:
        said = [message for place, message in sorted(left.items()) if place[0] == conversation_id]
        new_passages = _passage_columns(split_into_passages(said), None)
        connection.execute(_ADD_MISSING, {"user_id": user_id, "conversation_id": conversation_id} | new_passages)


def _passage_columns(new_passages: Sequence[Passage], vectors: Sequence[Vector] | None) -> dict[str, Any]:
    """Return the rows as one array for each column, so that one statement stores any number of passages."""
    parameters = [vector_parameters(vectors[number] if vectors else None) for number in range(len(new_passages))]
    return {
        "ids": [new_id() for _ in new_passages],
        "first_seqs": [passage.first_seq for passage in new_passages],
        "last_seqs": [passage.last_seq for passage in new_passages],
        "texts": [passage.text for passage in new_passages],
        "said_at": [passage.said_at for passage in new_passages],
        "vectors": [row["vector"] for row in parameters],
        "models": [row["model"] for row in parameters],
    }


def without_vector(connection: Connection, *, user_id: UUID, model: str, limit: int) -> list[tuple[UUID, str]]:
    """Return (id, text) of passages without a vector of `model`. A change of models or an outage leaves such passages."""
    rows = connection.execute(_WITHOUT_VECTOR, {"user_id": user_id, "model": model, "limit": limit})
    return [(row.id, row.text) for row in rows]


def count_without_vector(connection: Connection, *, user_id: UUID, model: str) -> int:
    """Return the number of the user's passages without a vector of `model`."""
    return int(connection.execute(_COUNT_WITHOUT_VECTOR, {"user_id": user_id, "model": model}).scalar_one())


def put_vectors(connection: Connection, rows: Sequence[tuple[UUID, str]], vectors: Sequence[Vector], *, user_id: UUID) -> None:
    """Set the vector of each passage, given as (id, text). A passage that was deleted meanwhile is skipped."""
    parameters = [vector_parameters(vector) for vector in vectors]
    columns = {"vectors": [row["vector"] for row in parameters], "models": [row["model"] for row in parameters]}
    connection.execute(_PUT_VECTORS, {"user_id": user_id, "ids": [passage_id for passage_id, _ in rows]} | columns)


def users_without_vectors(connection: Connection, *, model: str, after: UUID | None, limit: int) -> list[UUID]:
    """Return up to `limit` users after the id `after` who have passages without a vector of `model`, ordered by id.

    Requires the background role.
    """
    rows = connection.execute(_USERS_WITHOUT_VECTORS, {"model": model, "after": after, "limit": limit})
    return list(rows.scalars())


_MARK_EXTRACTED = text(
    """
    UPDATE conversations c SET mined_upto_seq = :upto_seq FROM users u
     WHERE c.user_id = :user_id AND c.id = :conversation_id AND NOT c.is_incognito
       AND c.mined_upto_seq <= :upto_seq AND c.last_seq >= :upto_seq AND u.id = c.user_id AND u.memory_enabled
    """
)
_NEW_ROWS = """unnest(CAST(:ids AS uuid[]), CAST(:first_seqs AS integer[]), CAST(:last_seqs AS integer[]), CAST(:texts AS text[]),
                  CAST(:said_at AS timestamptz[]), CAST(:vectors AS text[]), CAST(:models AS text[]))
           AS n(id, first_seq, last_seq, text, said_at, vector, model)"""
_INSERT_ROWS = """INSERT INTO passages (user_id, id, conversation_id, first_seq, last_seq, text, said_at, embedding, embedding_model)
            SELECT CAST(:user_id AS uuid), n.id, CAST(:conversation_id AS uuid), n.first_seq, n.last_seq, n.text, n.said_at,
                   CAST(n.vector AS halfvec), n.model"""
_IS_CONVERSATION = "c.user_id = CAST(:user_id AS uuid) AND c.id = CAST(:conversation_id AS uuid)"
# Passages of an older release contain messages of two turns. If one is deleted, memory is extracted again from its first message on.
_REPLACE_TURN_SQL = f"""
    WITH allowed AS (
            SELECT c.id FROM conversations c JOIN users u ON u.id = c.user_id
             WHERE {_IS_CONVERSATION} AND NOT c.is_incognito AND u.memory_enabled
               AND NOT EXISTS (SELECT FROM messages m WHERE m.user_id = c.user_id AND m.conversation_id = c.id
                                  AND m.seq BETWEEN CAST(:first_seq AS integer) AND CAST(:last_seq AS integer)
                                  AND m.is_active AND m.is_forgotten)
         ),
         skipped AS (
            UPDATE conversations c SET mined_upto_seq = greatest(c.mined_upto_seq, CAST(:last_seq AS integer))
             WHERE {_IS_CONVERSATION} AND NOT c.is_incognito AND NOT EXISTS (SELECT FROM allowed)
         ),
         deleted AS (
            DELETE FROM passages p WHERE p.user_id = CAST(:user_id AS uuid) AND p.conversation_id = CAST(:conversation_id AS uuid)
               AND p.last_seq >= CAST(:first_seq AS integer)
            RETURNING p.first_seq
         ),
         reset AS (
            UPDATE conversations c SET mined_upto_seq = least(c.mined_upto_seq, (SELECT min(first_seq) FROM deleted) - 1)
             WHERE {_IS_CONVERSATION} AND EXISTS (SELECT FROM allowed)
               AND EXISTS (SELECT FROM deleted WHERE first_seq < CAST(:first_seq AS integer))
         ),
         stored AS (
            {_INSERT_ROWS}
              FROM {_NEW_ROWS}, allowed
         )
    SELECT EXISTS (SELECT FROM allowed)
    """  # noqa: S608 - constants only
# On one line, the statement is short enough for psycopg to keep it parsed (4,096 characters).
_REPLACE_TURN = text(" ".join(_REPLACE_TURN_SQL.split()))
_DELETE = text("DELETE FROM passages WHERE user_id = :user_id AND id = ANY(:ids)")
_COVERED = text(
    """
    SELECT first_seq, last_seq FROM passages
     WHERE user_id = :user_id AND conversation_id = :conversation_id AND last_seq >= :first_seq
    """
)
_ADD_MISSING = text(
    f"""
            {_INSERT_ROWS}
              FROM {_NEW_ROWS}
             WHERE NOT EXISTS (SELECT FROM passages p WHERE p.user_id = CAST(:user_id AS uuid)
                                  AND p.conversation_id = CAST(:conversation_id AS uuid)
                                  AND p.first_seq <= n.last_seq AND p.last_seq >= n.first_seq)
               AND NOT EXISTS (SELECT FROM messages m WHERE m.user_id = CAST(:user_id AS uuid)
                                  AND m.conversation_id = CAST(:conversation_id AS uuid)
                                  AND m.seq BETWEEN n.first_seq AND n.last_seq AND m.is_active AND m.is_forgotten)
    """  # noqa: S608 - constants only
)
_ADD_IMPORTED = text(
    f"""
            {_INSERT_ROWS}
              FROM {_NEW_ROWS}
             WHERE EXISTS (SELECT FROM conversations c JOIN users u ON u.id = c.user_id
                            WHERE {_IS_CONVERSATION} AND NOT c.is_incognito AND u.memory_enabled)
    """
)
_PUT_VECTORS = text(
    """
    UPDATE passages p SET embedding = CAST(n.vector AS halfvec), embedding_model = n.model
      FROM unnest(CAST(:ids AS uuid[]), CAST(:vectors AS text[]), CAST(:models AS text[])) AS n(id, vector, model)
     WHERE p.user_id = CAST(:user_id AS uuid) AND p.id = n.id
    """
)
# Three index probes instead of `<>`, which would read every passage that already has the right model.
_DIFFERENT_MODEL = ("embedding_model < :model", "embedding_model > :model", "embedding_model IS NULL")
_USERS_WITHOUT_VECTORS = text(
    f"""
    SELECT DISTINCT user_id FROM ({
        " UNION ALL ".join(
            f"SELECT user_id FROM passages WHERE {differs} AND (CAST(:after AS uuid) IS NULL OR user_id > :after)"
            for differs in _DIFFERENT_MODEL
        )
    }) AS stale ORDER BY user_id LIMIT :limit
    """  # noqa: S608 - constants only
)
_COUNT_WITHOUT_VECTOR = text(
    "SELECT count(*) FROM passages WHERE user_id = :user_id AND embedding_model IS DISTINCT FROM CAST(:model AS text)"
)
_WITHOUT_VECTOR = text(
    f"""
    SELECT id, text FROM ({
        " UNION ALL ".join(f"SELECT id, text FROM passages WHERE user_id = :user_id AND {differs}" for differs in _DIFFERENT_MODEL)
    }) AS stale ORDER BY id LIMIT :limit
    """  # noqa: S608 - constants only
)
