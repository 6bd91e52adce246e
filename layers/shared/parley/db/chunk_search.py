"""Search in documents: the user's own and the shared ones, by words and by vectors at once.

The statement calls `parley_search_chunks` of migration 0011, made from the same text as the searches of `parley.db.recall`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Uuid, bindparam, text

from parley.db.halfvec import Vector, parameters_of

# How many the words and the vectors each put forward to be weighed.
POOL = 100


@dataclass(frozen=True, slots=True)
class FoundChunk:
    """A chunk that fits a query. `similarity` is the cosine, None without vectors; `weight` its BM25, None without a word in common.

    `score` is for ordering only.
    """

    id: UUID
    document_id: UUID
    title: str
    number: int
    heading: str
    body: str
    page: int | None
    start: int
    score: float
    similarity: float | None
    weight: float | None


def search(
    connection: Connection, query: str, vector: Vector | None, *, limit: int, only_in: Sequence[UUID] | None = None
) -> list[FoundChunk]:
    """Return the chunks that fit best of all that the transaction's user may read, or of the documents `only_in`.

    The filter stands before the ranking: what the user may not read takes no place from what they may. Without a vector
    words alone decide.
    """
    values = {
        "query": query,
        "pool": POOL,
        "most": limit,
        "only_in": list(only_in) if only_in is not None else None,
    } | parameters_of(vector)
    return [FoundChunk(**row._mapping) for row in connection.execute(_SEARCH, values)]


_SEARCH = text(
    """
    SELECT * FROM parley_search_chunks(:query, CAST(:vector AS halfvec), CAST(:model AS text), :pool, :most, CAST(:only_in AS uuid[]))
    """
).bindparams(bindparam("only_in", type_=ARRAY(Uuid)))
