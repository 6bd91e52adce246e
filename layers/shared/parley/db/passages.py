"""Passages: pieces of past conversations, for search and recall. What is searched is in `parley.db.recall`."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, delete, insert, text, update

from parley.db.halfvec import Vector, columns_of
from parley.db.tables import conversations, passages
from parley.ids import new_id
from parley.memory.passages import Piece


def open_from(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> int:
    """Return the number of the message to cut from: where the last passage begins, for more may belong to it.

    Where what was read last is in none, it is the next message: what was said while memory was off stays out, and what a fork
    has copied is in the passages of its source.
    """
    found = connection.execute(_OPEN_FROM, {"user_id": user_id, "conversation_id": conversation_id}).scalar_one_or_none()
    return int(found or 1)


def replace_from(
    connection: Connection,
    conversation_id: UUID,
    *,
    user_id: UUID,
    first_seq: int,
    upto_seq: int,
    pieces: Sequence[Piece],
    vectors: Sequence[Vector] | None,
) -> bool:
    """Store the pieces in place of the passages from message `first_seq` on, and note that all up to `upto_seq` is mined.

    Without `vectors`, one for each piece, they are found by their text until `put_vectors`. Done again, it changes nothing;
    False if somebody has mined further meanwhile, or the conversation is gone or incognito: nothing is stored then.
    """
    if not _advance(connection, conversation_id, user_id=user_id, upto_seq=upto_seq):
        return False
    old = (passages.c.user_id == user_id, passages.c.conversation_id == conversation_id, passages.c.last_seq >= first_seq)
    connection.execute(delete(passages).where(*old))
    rows = [
        {"user_id": user_id, "id": new_id(), "conversation_id": conversation_id, "first_seq": piece.first_seq, "last_seq": piece.last_seq}
        | {"text": piece.text, "said_at": piece.said_at}
        | columns_of(vectors[place] if vectors is not None else None)
        for place, piece in enumerate(pieces)
    ]
    if rows:
        connection.execute(insert(passages), rows)
    return True


def _advance(connection: Connection, conversation_id: UUID, *, user_id: UUID, upto_seq: int) -> bool:
    """Lock the conversation and note how far it is mined."""
    mine = (conversations.c.user_id == user_id, conversations.c.id == conversation_id, ~conversations.c.is_incognito)
    fits = (conversations.c.mined_upto_seq <= upto_seq, conversations.c.last_seq >= upto_seq)
    return connection.execute(update(conversations).where(*mine, *fits).values(mined_upto_seq=upto_seq)).rowcount == 1


def without_vector(connection: Connection, *, user_id: UUID, model: str, limit: int) -> list[tuple[UUID, str]]:
    """Return id and text of passages that have no vector of this model, after a switch of models or an outage."""
    found = connection.execute(_WITHOUT_VECTOR, {"user_id": user_id, "model": model, "limit": limit})
    return [(row.id, row.text) for row in found]


def put_vectors(connection: Connection, vectors: Sequence[tuple[UUID, Vector]], *, user_id: UUID) -> None:
    """Store vectors of passages, in place of those that they have; a passage that is gone is passed over."""
    for passage_id, vector in vectors:
        which = (passages.c.user_id == user_id, passages.c.id == passage_id)
        connection.execute(update(passages).where(*which).values(**columns_of(vector)))


def users_without_vectors(connection: Connection, *, model: str, after: UUID | None, limit: int) -> list[UUID]:
    """Return who has passages without a vector of this model, by id, from the one after `after` on. Needs the background role."""
    found = connection.execute(_USERS_WITHOUT_VECTORS, {"model": model, "after": after, "limit": limit})
    return list(found.scalars())


_OPEN_FROM = text(
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
