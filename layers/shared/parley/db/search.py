"""Hybrid search by words and by vectors: a user's facts and past conversations, and the documents that they may read.

The statements call `parley_search_passages`, `parley_search_memories` and `parley_search_chunks` of migration 0011. These
see only the rows that the transaction's user may read, compare all vectors of one model by their binary signatures first, and
combine the scores of words and vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Engine, Uuid, bindparam, text

from parley.db.transactions import run_statement
from parley.db.vectors import Vector, vector_parameters

# How many the words and the vectors each put forward to be weighed, before age counts.
MEMORY_CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage. `similarity` is the cosine with the question, None without vectors; `weight` its BM25, None without a word in common.

    With `is_tainted`, what stands in its conversation up to its end has text that nobody vouches for. Only `recall` says so.
    """

    id: UUID
    conversation_id: UUID
    title: str | None
    first_seq: int
    last_seq: int
    said_at: datetime
    text: str
    score: float
    similarity: float | None
    weight: float | None
    is_tainted: bool = False


@dataclass(frozen=True, slots=True)
class FoundFact:
    """A fact that holds; `similarity` and `weight` as of a passage.

    With `is_tainted`, a model drew it from a conversation that has text which nobody vouches for, or that is gone.
    """

    id: UUID
    text: str
    score: float
    similarity: float | None
    weight: float | None
    is_tainted: bool = False


@dataclass(frozen=True, slots=True)
class WindowStart:
    """What recall leaves out: messages of a conversation from this number on, which the model is given anyway."""

    conversation_id: UUID | None
    from_seq: int


@dataclass(frozen=True, slots=True)
class RecallResult:
    """What may help with a question, the best first."""

    facts: list[FoundFact]
    passages: list[FoundPassage]


def search_passages(connection: Connection, query: str, *, user_id: UUID, vector: Vector | None, limit: int) -> list[FoundPassage]:
    """Return up to `most` passages of the user's conversations, the best first. An empty query is searched by vector alone."""
    values = {"user_id": user_id, "query": query, "pool": MEMORY_CANDIDATES, "most": limit} | vector_parameters(vector)
    return [FoundPassage(**row._mapping) for row in connection.execute(_SEARCH_PASSAGES, values)]


def search_facts(connection: Connection, query: str, *, vector: Vector | None, limit: int) -> list[FoundFact]:
    """Return up to `most` facts of the transaction's user that hold, the best first."""
    values = {"query": query, "pool": MEMORY_CANDIDATES, "most": limit} | vector_parameters(vector)
    return [FoundFact(**row._mapping) for row in connection.execute(_SEARCH_FACTS, values)]


def recall(
    engine: Engine,
    query: str,
    *,
    user_id: UUID,
    vector: Vector | None,
    window_start: WindowStart,
    facts: int,
    passages: int,
    half_life_days: float,
) -> RecallResult:
    """Return what may help with a question: one statement, a transaction of its own. Newer passages weigh a little more.

    Of facts there are `facts` if the user has so many, the nearest first and then the newest, whatever they say. Raises
    Unavailable.
    """
    values = {"query": query, "pool": MEMORY_CANDIDATES, "facts": facts, "passages": passages, "half_life_days": half_life_days}
    values |= {
        "but_conversation": window_start.conversation_id and str(window_start.conversation_id),
        "but_from_seq": window_start.from_seq,
    }
    row = run_statement(engine, _RECALL, user_id=user_id, **(values | vector_parameters(vector)))
    return RecallResult(
        [FoundFact(**_from_json(one)) for one in row.facts or ()], [FoundPassage(**_from_json(one)) for one in row.passages or ()]
    )


def _from_json(found: dict[str, Any]) -> dict[str, Any]:
    """Turn what JSON has no types for into ids and times."""
    ids = {name: UUID(value) for name, value in found.items() if name == "id" or name.endswith("_id")}
    times = {name: datetime.fromisoformat(value) for name, value in found.items() if name.endswith("_at")}
    return found | ids | times


_QUERY = "CAST(:query AS text), CAST(:vector AS halfvec), CAST(:model AS text), CAST(:pool AS integer)"


_PASSAGE_COLUMNS = (
    """s.id, s.conversation_id, c.title, s.first_seq, s.last_seq, s.said_at, s.body AS text, s.score, s.similarity, s.weight"""
)


_FACT_COLUMNS = "s.id, s.body AS text, s.score, s.similarity, s.weight"


# As `parley.tools.approval.taints`.
_TAINTS = """jsonb_path_exists(t.parts, '$[*] ? (@.type == "source" || @.type == "memory" || @.type == "image"
                                                || @.type == "tool_result" && !(@.is_vouched == true))')"""


_TAINTED_PASSAGE = f"""EXISTS (
                    SELECT FROM messages t
                     WHERE t.user_id = CAST(:user_id AS uuid) AND t.conversation_id = s.conversation_id
                       AND t.seq <= s.last_seq AND {_TAINTS}
                ) AS is_tainted"""


_TAINTED_FACT = f"""EXISTS (
                SELECT FROM memories m
                 WHERE m.user_id = CAST(:user_id AS uuid) AND m.id = f.id AND m.source <> 'user' AND (
                       NOT EXISTS (SELECT FROM memory_sources o WHERE o.user_id = m.user_id AND o.memory_id = m.id)
                       OR EXISTS (SELECT FROM memory_sources o
                                    JOIN messages t ON t.user_id = o.user_id AND t.conversation_id = o.conversation_id
                                   WHERE o.user_id = m.user_id AND o.memory_id = m.id AND {_TAINTS}))
            ) AS is_tainted"""  # noqa: S608 - our own words


_SEARCH_PASSAGES = text(
    f"""
    SELECT {_PASSAGE_COLUMNS}
      FROM parley_search_passages({_QUERY}, CAST(:most AS integer), NULL, NULL, NULL) s
      JOIN conversations c ON c.user_id = :user_id AND c.id = s.conversation_id
     ORDER BY s.score DESC, s.id
    """  # noqa: S608 - our own words
)


_SEARCH_FACTS = text(
    f"""
    SELECT {_FACT_COLUMNS}
      FROM parley_search_memories({_QUERY}, CAST(:most AS integer), NULL, NULL, NULL) s ORDER BY s.score DESC, s.id
    """  # noqa: S608 - our own words
)


# A user with few facts is known by all of them: what they are allergic to has no word in common with "What shall I cook?".
_RECALL = text(
    f"""
    SELECT set_config('parley.user_id', CAST(:user_id AS text), true),
           (WITH found AS MATERIALIZED (
                SELECT {_FACT_COLUMNS} FROM parley_search_memories({_QUERY}, CAST(:facts AS integer), NULL, NULL, NULL) s
            ), others AS (
                SELECT m.id, m.text, CAST(0 AS float8), CAST(NULL AS float8), CAST(NULL AS float8) FROM memories m
                 WHERE m.user_id = CAST(:user_id AS uuid) AND m.ended_at IS NULL AND m.id NOT IN (SELECT id FROM found)
                 ORDER BY m.id DESC LIMIT greatest(CAST(:facts AS integer) - (SELECT count(*) FROM found), 0)
            )
            SELECT jsonb_agg(to_jsonb(f) ORDER BY f.score DESC, f.id DESC) FROM (
                SELECT f.*, {_TAINTED_FACT} FROM (SELECT * FROM found UNION ALL SELECT * FROM others) f
            ) f) AS facts,
           (SELECT jsonb_agg(to_jsonb(p) ORDER BY p.score DESC, p.id) FROM (
                SELECT {_PASSAGE_COLUMNS}, {_TAINTED_PASSAGE}
                  FROM parley_search_passages({_QUERY}, CAST(:passages AS integer), CAST(:half_life_days AS float8),
                                              CAST(:but_conversation AS uuid), CAST(:but_from_seq AS integer)) s
                  JOIN conversations c ON c.user_id = CAST(:user_id AS uuid) AND c.id = s.conversation_id
            ) p) AS passages
    """  # noqa: S608 - our own words
)


# How many the words and the vectors each put forward to be weighed.
CHUNK_CANDIDATES = 100


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


def search_chunks(
    connection: Connection, query: str, vector: Vector | None, *, limit: int, only_in: Sequence[UUID] | None = None
) -> list[FoundChunk]:
    """Return the chunks that fit best of all that the transaction's user may read, or of the documents `only_in`.

    The filter stands before the ranking: what the user may not read takes no place from what they may. Without a vector
    words alone decide.
    """
    values = {
        "query": query,
        "pool": CHUNK_CANDIDATES,
        "most": limit,
        "only_in": list(only_in) if only_in is not None else None,
    } | vector_parameters(vector)
    return [FoundChunk(**row._mapping) for row in connection.execute(_SEARCH_CHUNKS, values)]


_SEARCH_CHUNKS = text(
    """
    SELECT * FROM parley_search_chunks(:query, CAST(:vector AS halfvec), CAST(:model AS text), :pool, :most, CAST(:only_in AS uuid[]))
    """
).bindparams(bindparam("only_in", type_=ARRAY(Uuid)))
