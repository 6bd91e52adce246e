"""Hybrid search, by words and by vectors, over a user's facts and past conversations.

The statements call `parley_search_passages` and `parley_search_memories` of migrations 0011 to 0065. These functions see only rows
that the transaction's user may read. They preselect vectors by binary signatures, compare the preselected vectors exactly, and
combine the scores of words and vectors. `search_chunks` in `parley.db.chunks` searches documents in the same way.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from parley.db.transactions import run_statement
from parley.db.vectors import Vector, vector_parameters
from parley.memory.named_time import Period

# Candidates that word search and vector search each contribute to the combined ranking, before age is considered.
MEMORY_CANDIDATES = 100
# The limit to a project is applied to the candidates, most of which may be of other conversations.
PROJECT_CANDIDATES = 1000


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage that matches a query.

    `similarity` is the cosine with the query, None without vectors; `bm25` is the BM25 score, None if no word matches.
    `is_tainted` means that the conversation contains untrusted text up to the end of the passage; only `recall` sets it.
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
    bm25: float | None
    is_tainted: bool = False


@dataclass(frozen=True, slots=True)
class FoundFact:
    """A current fact that matches a query; `similarity` and `bm25` are as in FoundPassage.

    `is_tainted` means that a model extracted the fact from a conversation that contains untrusted text or is deleted.
    """

    id: UUID
    text: str
    created_at: datetime
    score: float
    similarity: float | None
    bm25: float | None
    is_tainted: bool = False


@dataclass(frozen=True, slots=True)
class WindowStart:
    """The first message of the prompt's history. Recall excludes passages from this message on: they are in the prompt."""

    conversation_id: UUID | None
    from_seq: int


@dataclass(frozen=True, slots=True)
class RecallResult:
    """The facts and passages recalled for a question, each best first."""

    facts: list[FoundFact]
    passages: list[FoundPassage]


def search_passages(
    connection: Connection,
    query: str,
    *,
    user_id: UUID,
    vector: Vector | None,
    limit: int,
    period: Period | None = None,
    project_id: UUID | None = None,
) -> list[FoundPassage]:
    """Return up to `limit` passages of the user's conversations, or only of a project's, best first.

    An empty query searches by vector only. Passages of the `period` that the query names rank slightly higher.
    """
    values = {"user_id": user_id, "query": query, "most": limit, "half_life_days": None, **_project_parameters(project_id)}
    values |= {"but_conversation": None, "but_from_seq": None, **_period_parameters(period), **vector_parameters(vector)}
    return [FoundPassage(**row._mapping) for row in connection.execute(_SEARCH_PASSAGES, values)]


def search_facts(connection: Connection, query: str, *, vector: Vector | None, limit: int) -> list[FoundFact]:
    """Return up to `limit` current facts of the transaction's user, best first."""
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
    period: Period | None = None,
    project_id: UUID | None = None,
) -> RecallResult:
    """Return the facts and passages relevant to a question, in one statement and its own transaction.

    With `project_id`, only passages of the project's conversations, and facts that these state or that the user wrote.

    Returns up to `passages` passages, newer ones ranked slightly higher, or instead those of the `period` that the question
    names; and up to `facts` facts: the matching facts first, then the newest others. Raises Unavailable.
    """
    values = {"query": query, "facts": facts, "most": passages, "half_life_days": half_life_days, **_project_parameters(project_id)}
    values |= {
        "but_conversation": window_start.conversation_id and str(window_start.conversation_id),
        "but_from_seq": window_start.from_seq,
    }
    row = run_statement(engine, _RECALL, user_id=user_id, **(values | _period_parameters(period) | vector_parameters(vector)))
    return RecallResult(
        [FoundFact(**_from_json(fact)) for fact in row.facts or ()],
        [FoundPassage(**_from_json(passage)) for passage in row.passages or ()],
    )


def _period_parameters(period: Period | None) -> dict[str, datetime | None]:
    return {"period_start": period.start if period else None, "period_end": period.end if period else None}


def _project_parameters(project_id: UUID | None) -> dict[str, Any]:
    return {"project_id": project_id and str(project_id), "pool": PROJECT_CANDIDATES if project_id else MEMORY_CANDIDATES}


def _from_json(row: dict[str, Any]) -> dict[str, Any]:
    """Convert the ids and times of a row that was selected as JSON."""
    ids = {name: UUID(value) for name, value in row.items() if name == "id" or name.endswith("_id")}
    times = {name: datetime.fromisoformat(value) for name, value in row.items() if name.endswith("_at")}
    return row | ids | times


_QUERY = "CAST(:query AS text), CAST(:vector AS halfvec), CAST(:model AS text), CAST(:pool AS integer)"


_PASSAGE_COLUMNS = (
    """s.id, s.conversation_id, c.title, s.first_seq, s.last_seq, s.said_at, s.body AS text, s.score, s.similarity, s.weight AS bm25"""
)


# In a named period, a passage has the advantage that a new one has otherwise, and age does not count. Without a period, the scores and
# their order are the function's own. The candidates of the period may be beyond the best `most`, so all are compared.
_PASSAGES = f"""(
        SELECT p.id, p.conversation_id, p.first_seq, p.last_seq, p.said_at, p.body, p.similarity, p.weight,
               p.score * CASE WHEN p.said_at >= CAST(:period_start AS timestamptz) AND p.said_at < CAST(:period_end AS timestamptz)
                              THEN 1.25 ELSE 1 END AS score
          FROM parley_search_passages({_QUERY}, CASE WHEN CAST(:period_start AS timestamptz) IS NULL AND CAST(:project_id AS uuid) IS NULL
                                                     THEN CAST(:most AS integer)
                                                     ELSE greatest(CAST(:most AS integer), CAST(:pool AS integer)) END,
                                      CASE WHEN CAST(:period_start AS timestamptz) IS NULL THEN CAST(:half_life_days AS float8) END,
                                      CAST(:but_conversation AS uuid), CAST(:but_from_seq AS integer)) p
         WHERE CAST(:project_id AS uuid) IS NULL
            OR p.conversation_id IN (SELECT i.id FROM conversations i
                                      WHERE i.user_id = CAST(:user_id AS uuid) AND i.project_id = CAST(:project_id AS uuid))
         ORDER BY score DESC, p.id LIMIT CAST(:most AS integer))"""  # noqa: S608 - constants only


def _is_known_in_project(memory_id: str) -> str:
    """Return a condition on a fact: no limit to a project, or the user wrote the fact, or a conversation of the project states it."""
    return f"""(CAST(:project_id AS uuid) IS NULL
                OR EXISTS (SELECT FROM memories w
                            WHERE w.user_id = CAST(:user_id AS uuid) AND w.id = {memory_id} AND w.source = 'user')
                OR EXISTS (SELECT FROM memory_sources o
                             JOIN conversations i ON i.user_id = o.user_id AND i.id = o.conversation_id
                            WHERE o.user_id = CAST(:user_id AS uuid) AND o.memory_id = {memory_id}
                              AND i.project_id = CAST(:project_id AS uuid)))"""  # noqa: S608 - constants only


_FACT_COLUMNS = "s.id, s.body AS text, s.created_at, s.score, s.similarity, s.weight AS bm25"


# The same rule as `parley.tools.approval.taints`.
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
            ) AS is_tainted"""  # noqa: S608 - constants only


_SEARCH_PASSAGES = text(
    f"""
    SELECT {_PASSAGE_COLUMNS}
      FROM {_PASSAGES} s
      JOIN conversations c ON c.user_id = :user_id AND c.id = s.conversation_id
     ORDER BY s.score DESC, s.id
    """  # noqa: S608 - constants only
)


_SEARCH_FACTS = text(
    f"""
    SELECT {_FACT_COLUMNS}
      FROM parley_search_memories({_QUERY}, CAST(:most AS integer), NULL, NULL, NULL) s ORDER BY s.score DESC, s.id
    """  # noqa: S608 - constants only
)


# Facts that do not match fill the remaining places: an allergy shares no word with "What can I cook?", yet it matters.
_RECALL = text(
    f"""
    SELECT set_config('parley.user_id', CAST(:user_id AS text), true),
           (WITH found AS MATERIALIZED (
                SELECT {_FACT_COLUMNS}
                  FROM parley_search_memories({_QUERY}, CASE WHEN CAST(:project_id AS uuid) IS NULL THEN CAST(:facts AS integer)
                                                             ELSE CAST(:pool AS integer) END, NULL, NULL, NULL) s
                 WHERE {_is_known_in_project("s.id")}
                 ORDER BY s.score DESC, s.id DESC LIMIT CAST(:facts AS integer)
            ), others AS (
                SELECT m.id, m.text, m.created_at, CAST(0 AS float8), CAST(NULL AS float8), CAST(NULL AS float8) FROM memories m
                 WHERE m.user_id = CAST(:user_id AS uuid) AND m.ended_at IS NULL AND m.id NOT IN (SELECT id FROM found)
                   AND {_is_known_in_project("m.id")}
                 ORDER BY m.id DESC LIMIT greatest(CAST(:facts AS integer) - (SELECT count(*) FROM found), 0)
            )
            SELECT jsonb_agg(to_jsonb(f) ORDER BY f.score DESC, f.id DESC) FROM (
                SELECT f.*, {_TAINTED_FACT} FROM (SELECT * FROM found UNION ALL SELECT * FROM others) f
            ) f) AS facts,
           (SELECT jsonb_agg(to_jsonb(p) ORDER BY p.score DESC, p.id) FROM (
                SELECT {_PASSAGE_COLUMNS}, {_TAINTED_PASSAGE}
                  FROM {_PASSAGES} s
                  JOIN conversations c ON c.user_id = CAST(:user_id AS uuid) AND c.id = s.conversation_id
            ) p) AS passages
    """  # noqa: S608 - constants only
)
