"""Passages: excerpts of past conversations, stored for search and recall. `parley.db.search` searches them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text, update

from parley.db.tables import passages
from parley.db.vectors import Vector, vector_columns, vector_parameters
from parley.ids import new_id
from parley.memory.passages import Passage


def next_start_seq(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> int:
    """Return the number of the message from which passages must be rebuilt.

    Normally this is the first message of the last passage, which may still grow. If no passage contains the last extracted message,
    this is the message after the last extracted message: messages sent while memory was off must stay out, and the copied
    messages of a fork are already in the passages of its source.
    """
    seq = connection.execute(_NEXT_START_SEQ, {"user_id": user_id, "conversation_id": conversation_id}).scalar_one_or_none()
    return int(seq or 1)


def replace_from(
    connection: Connection,
    conversation_id: UUID,
    *,
    user_id: UUID,
    first_seq: int,
    upto_seq: int,
    new_passages: Sequence[Passage],
    vectors: Sequence[Vector] | None,
) -> bool:
    """Replace the passages from message `first_seq` on, and mark messages up to `upto_seq` as extracted. Safe to repeat.

    `vectors` has one vector for each passage; if it is None, only full-text search finds the passages until `put_vectors` is called.
    Returns False, and stores nothing, if another run has already extracted more, the conversation is deleted or incognito, or its
    user has turned memory off.
    """
    conversation = {"user_id": user_id, "conversation_id": conversation_id}
    # A separate statement: it locks the conversation, so that the next statement sees the passages of a concurrent run.
    if connection.execute(_MARK_EXTRACTED, conversation | {"upto_seq": upto_seq}).rowcount == 0:
        return False
    connection.execute(_REPLACE, conversation | {"first_seq": first_seq} | _passage_columns(new_passages, vectors))
    return True


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


def put_vectors(connection: Connection, vectors: Sequence[tuple[UUID, Vector]], *, user_id: UUID) -> None:
    """Set the vectors of passages, given as (id, vector). A passage deleted meanwhile is skipped."""
    for passage_id, vector in vectors:
        which = (passages.c.user_id == user_id, passages.c.id == passage_id)
        connection.execute(update(passages).where(*which).values(**vector_columns(vector)))


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
_REPLACE = text(
    """
    WITH deleted AS (
            DELETE FROM passages WHERE user_id = :user_id AND conversation_id = :conversation_id AND last_seq >= :first_seq
         )
    INSERT INTO passages (user_id, id, conversation_id, first_seq, last_seq, text, said_at, embedding, embedding_model)
    SELECT CAST(:user_id AS uuid), n.id, CAST(:conversation_id AS uuid), n.first_seq, n.last_seq, n.text, n.said_at,
           CAST(n.vector AS halfvec), n.model
      FROM unnest(CAST(:ids AS uuid[]), CAST(:first_seqs AS integer[]), CAST(:last_seqs AS integer[]), CAST(:texts AS text[]),
                  CAST(:said_at AS timestamptz[]), CAST(:vectors AS text[]), CAST(:models AS text[]))
           AS n(id, first_seq, last_seq, text, said_at, vector, model)
    """
)
_NEXT_START_SEQ = text(
    """
    SELECT coalesce(max(p.first_seq), c.mined_upto_seq + 1)
      FROM conversations c
      LEFT JOIN passages p ON p.user_id = c.user_id AND p.conversation_id = c.id AND p.last_seq >= c.mined_upto_seq
     WHERE c.user_id = :user_id AND c.id = :conversation_id GROUP BY c.user_id, c.id, c.mined_upto_seq
    """
)
# Three index probes instead of `<>`, which would read every passage that already has the right model.
_USERS_WITHOUT_VECTORS = text(
    f"""
    SELECT DISTINCT user_id FROM ({
        " UNION ALL ".join(
            f"SELECT user_id FROM passages WHERE {differs} AND (CAST(:after AS uuid) IS NULL OR user_id > :after)"
            for differs in ("embedding_model < :model", "embedding_model > :model", "embedding_model IS NULL")
        )
    }) AS stale ORDER BY user_id LIMIT :limit
    """  # noqa: S608 - constants only
)
_WITHOUT_VECTOR = text(
    "SELECT id, text FROM passages WHERE user_id = :user_id AND embedding_model IS DISTINCT FROM :model ORDER BY id LIMIT :limit"
)
