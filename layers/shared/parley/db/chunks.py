"""Chunks of documents: the unit of search, embedding and citation.

Contextual retrieval adds a description to a chunk: a model's summary of the chunk's context in its document.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Uuid, bindparam, delete, func, select, text, true, update

from parley.db.tables import chunks
from parley.db.vectors import Vector, vector_parameters
from parley.ids import new_id

# Candidates that word search and vector search each contribute to the combined ranking.
CHUNK_CANDIDATES = 100
# A chunk beside a match gets this share of its score, as in `parley_search_chunks`.
_NEIGHBOUR_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk to store. Numbers count from 0; `heading` is the path of headings above the chunk.

    The chunk begins on `page`, at the character offset `start`.
    """

    number: int
    heading: str
    text: str
    page: int | None
    start: int
    tokens: int


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A stored chunk, as it is shown and cited."""

    id: UUID
    document_id: UUID
    number: int
    heading: str
    text: str
    page: int | None
    start: int


@dataclass(frozen=True, slots=True)
class UnembeddedChunk:
    """A chunk that has no vector of the requested model."""

    number: int
    heading: str
    text: str
    description: str | None

    @property
    def embedded_text(self) -> str:
        """The text to embed: description, heading and text."""
        return "\n\n".join(filter(None, [self.description, self.heading, self.text]))


@dataclass(frozen=True, slots=True)
class FoundChunk:
    """A chunk that matches a query. `score` is for ordering only.

    `similarity` and `bm25` are as in `parley.db.search.FoundPassage`.
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
    bm25: float | None


def count(connection: Connection, document_id: UUID, *, user_id: UUID) -> int:
    """Return the number of the document's stored chunks. Chunks are stored in order, so this is also the next chunk's number."""
    return connection.execute(select(func.count()).where(*_of_document(document_id, user_id))).scalar_one()


def add(connection: Connection, document_id: UUID, new_chunks: Sequence[NewChunk], *, user_id: UUID, is_shared: bool) -> None:
    """Store chunks, in one statement. Chunks already stored under the same number stay unchanged."""
    rows = [asdict(chunk) | {"id": str(new_id())} for chunk in new_chunks]
    values = {"user_id": user_id, "document_id": document_id, "is_shared": is_shared}
    connection.execute(_ADD, values | {"chunks": json.dumps(rows, ensure_ascii=False)})


def page(connection: Connection, document_id: UUID, *, owner_id: UUID, limit: int, after: int | None) -> list[StoredChunk]:
    """Return up to `limit` chunks after number `after` of a document of `owner_id` that the transaction's user may read, in order."""
    columns = (chunks.c[name] for name in StoredChunk.__dataclass_fields__)
    follows = chunks.c.number > (-1 if after is None else after)
    statement = select(*columns).where(*_of_document(document_id, owner_id), follows).order_by(chunks.c.number).limit(limit)
    return [StoredChunk(**row._mapping) for row in connection.execute(statement)]


def without_vector(connection: Connection, document_id: UUID, *, user_id: UUID, model: str, limit: int) -> list[UnembeddedChunk]:
    """Return up to `limit` chunks without a vector of `model`, in order."""
    has_no_vector = chunks.c.embedding_model.is_distinct_from(model)
    columns = (chunks.c[name] for name in UnembeddedChunk.__dataclass_fields__)
    statement = select(*columns).where(*_of_document(document_id, user_id), has_no_vector).order_by(chunks.c.number).limit(limit)
    return [UnembeddedChunk(**row._mapping) for row in connection.execute(statement)]


def put_vectors(connection: Connection, document_id: UUID, vectors: Mapping[int, Vector], *, user_id: UUID) -> None:
    """Set the vectors of chunks, given by chunk number, in one statement."""
    rows = [{"number": number} | vector_parameters(vector) for number, vector in vectors.items()]
    connection.execute(_PUT_VECTORS, {"user_id": user_id, "document_id": document_id, "vectors": json.dumps(rows)})


def remove_from(connection: Connection, document_id: UUID, number: int, *, user_id: UUID) -> None:
    """Delete the chunks from `number` on, which are left over if an earlier reading of the file produced more chunks."""
    connection.execute(delete(chunks).where(*_of_document(document_id, user_id), chunks.c.number >= number))


def without_description(connection: Connection, document_id: UUID, *, user_id: UUID, model: str | None, limit: int) -> list[StoredChunk]:
    """Return up to `limit` chunks that have neither a description nor a vector of `model`, in order.

    A chunk with a vector is left out because its embedding would not include a later description.
    """
    has_no_vector = chunks.c.embedding_model.is_distinct_from(model) if model else true()
    columns = (chunks.c[name] for name in StoredChunk.__dataclass_fields__)
    which = (*_of_document(document_id, user_id), chunks.c.description.is_(None), has_no_vector)
    statement = select(*columns).where(*which).order_by(chunks.c.number).limit(limit)
    return [StoredChunk(**row._mapping) for row in connection.execute(statement)]


def are_all_described(connection: Connection, document_id: UUID, *, user_id: UUID) -> bool:
    """Whether every chunk of the document has a description. An empty description counts."""
    statement = select(chunks.c.number).where(*_of_document(document_id, user_id), chunks.c.description.is_(None)).limit(1)
    return connection.execute(statement).first() is None


def has_undescribed_vectors(connection: Connection, document_id: UUID, *, user_id: UUID, model: str) -> bool:
    """Whether a chunk has a vector of `model` but no description, because ingestion continued without descriptions."""
    which = (*_of_document(document_id, user_id), chunks.c.description.is_(None), chunks.c.embedding_model == model)
    return connection.execute(select(chunks.c.number).where(*which).limit(1)).first() is not None


def set_description(connection: Connection, document_id: UUID, number: int, description: str, *, user_id: UUID) -> None:
    """Store a model's description of a chunk's context in its document."""
    which = (*_of_document(document_id, user_id), chunks.c.number == number)
    connection.execute(update(chunks).where(*which).values(description=description))


def total_tokens(connection: Connection, document_id: UUID, *, user_id: UUID) -> int:
    """Return the estimated tokens of all chunks of the document."""
    total = func.coalesce(func.sum(chunks.c.tokens), 0)
    return int(connection.execute(select(total).where(*_of_document(document_id, user_id))).scalar_one())


def headings(connection: Connection, document_id: UUID, *, user_id: UUID, limit: int) -> list[str]:
    """Return up to `limit` distinct heading paths of the document, in order of their first chunk."""
    statement = select(chunks.c.heading).where(*_of_document(document_id, user_id)).group_by(chunks.c.heading)
    return list(connection.execute(statement.order_by(func.min(chunks.c.number)).limit(limit)).scalars())


def search_chunks(
    connection: Connection, query: str, vector: Vector | None, *, limit: int, only_in: Sequence[UUID] | None = None
) -> list[FoundChunk]:
    """Return up to `limit` chunks, best first, of all documents that the transaction's user may read, or only of `only_in`.

    Rows are filtered before they are ranked, so unreadable chunks never displace readable ones. Without a vector only words
    are searched.
    """
    values = {
        "query": query,
        "pool": CHUNK_CANDIDATES,
        "most": limit,
        "only_in": list(only_in) if only_in is not None else None,
    } | vector_parameters(vector)
    return [FoundChunk(**row._mapping) for row in connection.execute(_SEARCH_CHUNKS, values)]


def with_neighbour(connection: Connection, found: Sequence[FoundChunk], *, user_id: UUID, place: int) -> list[FoundChunk]:
    """Return the found chunks with a neighbour of the best chunk at `place`, counted from 1. Fewer than `place` chunks stay as they are.

    The neighbour is the next chunk of the same document, or the previous chunk if the next is missing or among the chunks before
    `place`. It gets the similarity and the BM25 score of the best chunk, and a tenth of its score. Only chunks of the user's own
    documents get a neighbour.
    """
    if len(found) < place:
        return list(found)
    best, before = found[0], found[: place - 1]
    rows = connection.execute(_NEIGHBOURS, {"user_id": user_id, "document_id": best.document_id, "number": best.number})
    beside = [replace(best, **row._mapping, score=best.score * _NEIGHBOUR_SHARE) for row in rows]
    known = {chunk.id for chunk in before}
    chosen = [chunk for chunk in beside if chunk.id not in known][:1]
    return [*before, *chosen, *(chunk for chunk in found[place - 1 :] if chunk.id not in {one.id for one in chosen})]


def _of_document(document_id: UUID, user_id: UUID) -> tuple[Any, Any]:
    return chunks.c.user_id == user_id, chunks.c.document_id == document_id


# One statement for a batch: PostgreSQL would parse and plan a statement for each row again, which all users pay for.
_ADD = text(
    """
    INSERT INTO chunks (user_id, document_id, number, id, heading, text, page, start, tokens, is_shared)
    SELECT CAST(:user_id AS uuid), CAST(:document_id AS uuid), c.number, c.id, c.heading, c.text, c.page, c.start, c.tokens,
           CAST(:is_shared AS boolean)
      FROM json_to_recordset(CAST(:chunks AS json)) AS c (
           number integer, id uuid, heading text, text text, page integer, start integer, tokens integer)
    ON CONFLICT (user_id, document_id, number) DO NOTHING
    """
)
_PUT_VECTORS = text(
    """
    UPDATE chunks SET embedding = CAST(v.vector AS halfvec), embedding_model = v.model
      FROM json_to_recordset(CAST(:vectors AS json)) AS v (number integer, vector text, model text)
     WHERE chunks.user_id = :user_id AND chunks.document_id = :document_id AND chunks.number = v.number
    """
)
_NEIGHBOURS = text(
    """
    SELECT id, number, heading, text AS body, page, start FROM chunks
     WHERE user_id = :user_id AND document_id = :document_id AND number IN (:number - 1, :number + 1)
     ORDER BY number DESC
    """
)
# The function of migrations 0011 to 0065 searches as the functions of `parley.db.search` do.
_SEARCH_CHUNKS = text(
    """
    SELECT id, document_id, title, number, heading, body, page, start, score, similarity, weight AS bm25
      FROM parley_search_chunks(:query, CAST(:vector AS halfvec), CAST(:model AS text), :pool, :most, CAST(:only_in AS uuid[]))
    """
).bindparams(bindparam("only_in", type_=ARRAY(Uuid)))
