"""Search over a user's own conversations and facts: by words, by meaning, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from functions.conversation.services import ConversationServices
from parley.auth.principal import Principal
from parley.clock import utc_now
from parley.db import memories, search
from parley.db.memories import Memory
from parley.db.projects import projects
from parley.db.search import FoundPassage
from parley.db.transactions import principal_scope
from parley.db.vectors import Vector
from parley.memory.named_time import named_period
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import BillingSubject

type SearchMode = Literal["hybrid", "text", "semantic"]

# Results beyond this rank are rarely relevant, and nobody pages that far.
MAX_RESULTS = 200


@dataclass(frozen=True, slots=True)
class SearchResults[T]:
    """The results, best first, and the mode used: `text` if no embedding was available."""

    items: Sequence[T]
    mode: SearchMode


@dataclass(frozen=True, slots=True)
class ScoredMemory:
    """A fact with its relevance score."""

    memory: Memory
    score: float


def search_conversations(
    services: ConversationServices, principal: Principal, query: str, mode: SearchMode, project_id: UUID | None = None
) -> SearchResults[FoundPassage]:
    """Return the best passage of each matching question and answer, best first, of all conversations or of a project's.

    If the query names a time, such as "last week", passages of that time rank slightly higher. Raises NotFound, Unauthorized
    and Unavailable.
    """
    period = named_period(query, today=utc_now().date())
    vector, words, used_mode = _search_inputs(services.embedding, principal, query, mode)
    with principal_scope(services.engine, principal) as connection:
        if project_id:
            projects.require(connection, project_id, user_id=principal.user_id)
        passages = search.search_passages(
            connection, words, user_id=principal.user_id, vector=vector, limit=MAX_RESULTS, period=period, project_id=project_id
        )
    # A question and its answer are consecutive messages, and a long answer is many passages: keep the best of each pair.
    best = {(passage.conversation_id, (passage.first_seq + 1) // 2): passage for passage in reversed(passages)}
    return SearchResults(sorted(best.values(), key=lambda passage: -passage.score), used_mode)


def search_memories(services: ConversationServices, principal: Principal, query: str, mode: SearchMode) -> SearchResults[ScoredMemory]:
    """Return the current facts that match, best first. Raises Unauthorized and Unavailable."""
    vector, words, used_mode = _search_inputs(services.embedding, principal, query, mode)
    with principal_scope(services.engine, principal) as connection:
        found = search.search_facts(connection, words, vector=vector, limit=MAX_RESULTS)
        known = {memory.id: memory for memory in memories.get_many(connection, [fact.id for fact in found], user_id=principal.user_id)}
    return SearchResults([ScoredMemory(known[fact.id], fact.score) for fact in found if fact.id in known], used_mode)


def _search_inputs(embedding: MeteredEmbedder, principal: Principal, query: str, mode: SearchMode) -> tuple[Vector | None, str, SearchMode]:
    """Return the vector and the words to search by, and the resulting mode. No transaction is open during the embedding call."""
    if mode == "text":
        return None, query, "text"
    vector = embedding.query(query, billing_subject=BillingSubject(principal.user_id, principal.api_key_id))
    if vector is None:
        return None, query, "text"
    return vector, "" if mode == "semantic" else query, mode
