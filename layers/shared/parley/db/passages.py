"""Passages: pieces of past conversations, for search and recall. What is searched is in `parley.db.search`."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text, update

from parley.db.tables import passages
from parley.db.vectors import Vector, vector_columns, vector_parameters
from parley.ids import new_id
from parley.memory.passages import Passage


def next_start_seq(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> int:
    """Return the number of the message to cut from: where the last passage begins, for more may belong to it.

    Where what was read last is in none, it is the next message: what was said while memory was off stays out, and what a fork
    has copied is in the passages of its source.
    """
    found = connection.execute(_NEXT_START_SEQ, {"user_id": user_id, "conversation_id": conversation_id}).scalar_one_or_none()
    return int(found or 1)


def replace_from(
    connection: Connection,
    conversation_id: UUID,
    *,
    user_id: UUID,
    first_seq: int,
    upto_seq: int,
    pieces: Sequence[Passage],
    vectors: Sequence[Vector] | None,
) -> bool:
    """Store the pieces in place of the passages from message `first_seq` on, and note that all up to `upto_seq` is mined.

    Without `vectors`, one for each piece, they are found by their text until `put_vectors`. Done again, it changes nothing;
    False if somebody has mined further meanwhile, the conversation is gone or incognito, or its user has turned memory off:
    nothing is stored then.
    """
    place = {"user_id": user_id, "conversation_id": conversation_id}
    # A statement of its own: it locks the conversation, so that the next one sees what another run has stored until now.
    if connection.execute(_MARK_EXTRACTED, place | {"upto_seq": upto_seq}).rowcount == 0:
        return False
    connection.execute(_REPLACE, place | {"first_seq": first_seq} | _passage_columns(pieces, vectors))
    return True


def _passage_columns(pieces: Sequence[Passage], vectors: Sequence[Vector] | None) -> dict[str, Any]:
    """Return the new rows column by column: one statement stores them all, however many."""
    held = [vector_parameters(vectors[place] if vectors is not None else None) for place in range(len(pieces))]
    return {
        "ids": [new_id() for _ in pieces],
        "first_seqs": [piece.first_seq for piece in pieces],
        "last_seqs": [piece.last_seq for piece in pieces],
        "texts": [piece.text for piece in pieces],
        "said_at": [piece.said_at for piece in pieces],
        "vectors": [one["vector"] for one in held],
        "models": [one["model"] for one in held],
    }


def without_vector(connection: Connection, *, user_id: UUID, model: str, limit: int) -> list[tuple[UUID, str]]:
    """Return id and text of passages that have no vector of this model, after a switch of models or an outage."""
    found = connection.execute(_WITHOUT_VECTOR, {"user_id": user_id, "model": model, "limit": limit})
    return [(row.id, row.text) for row in found]


def put_vectors(connection: Connection, vectors: Sequence[tuple[UUID, Vector]], *, user_id: UUID) -> None:
    """Store vectors of passages, in place of those that they have; a passage that is gone is passed over."""
    for passage_id, vector in vectors:
        which = (passages.c.user_id == user_id, passages.c.id == passage_id)
        connection.execute(update(passages).where(*which).values(**vector_columns(vector)))


def users_without_vectors(connection: Connection, *, model: str, after: UUID | None, limit: int) -> list[UUID]:
    """Return who has passages without a vector of this model, by id, from the one after `after` on. Needs the background role."""
    found = connection.execute(_USERS_WITHOUT_VECTORS, {"model": model, "after": after, "limit": limit})
    return list(found.scalars())


_MARK_EXTRACTED = text(
    """
    UPDATE conversations c SET mined_upto_seq = :upto_seq FROM users u
     WHERE c.user_id = :user_id AND c.id = :conversation_id AND NOT c.is_incognito
       AND c.mined_upto_seq <= :upto_seq AND c.last_seq >= :upto_seq AND u.id = c.user_id AND u.memory_enabled
    """
)
_REPLACE = text(
    """
    WITH gone AS (
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
# One probe of the index for each way to differ: nobody reads through those that are as they should be.
_USERS_WITHOUT_VECTORS = text(
    f"""
    SELECT DISTINCT user_id FROM ({
        " UNION ALL ".join(
            f"SELECT user_id FROM passages WHERE {differs} AND (CAST(:after AS uuid) IS NULL OR user_id > :after)"
            for differs in ("embedding_model < :model", "embedding_model > :model", "embedding_model IS NULL")
        )
    }) AS found ORDER BY user_id LIMIT :limit
    """  # noqa: S608 - our own words
)
_WITHOUT_VECTOR = text(
    "SELECT id, text FROM passages WHERE user_id = :user_id AND embedding_model IS DISTINCT FROM :model ORDER BY id LIMIT :limit"
)
