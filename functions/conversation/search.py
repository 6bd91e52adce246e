"""Search over a user's own conversations and facts: by words, by meaning, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from functions.conversation.services import ConversationServices
from parley.auth.principal import Principal
from parley.db import memories, search
from parley.db.memories import Memory
from parley.db.search import FoundPassage
from parley.db.transactions import principal_scope
from parley.db.vectors import Vector
from parley.metering.limits import BillingSubject

type SearchMode = Literal["hybrid", "text", "semantic"]

# Further down nobody pages, and nothing there has to do with the question.
MAX_RESULTS = 200


@dataclass(frozen=True, slots=True)
class SearchResults[T]:
    """What was found, the best first, and how: `mode` is `text` where no embedding service answered."""

    items: Sequence[T]
    mode: SearchMode


@dataclass(frozen=True, slots=True)
class ScoredMemory:
    """A fact, and how well it fits."""

    memory: Memory
    score: float


def search_conversations(services: ConversationServices, principal: Principal, query: str, mode: SearchMode) -> SearchResults[FoundPassage]:
    """Return the passages that fit, one for each exchange of question and answer. Raises Unauthorized and Unavailable."""
    vector, words, used_mode = _search_inputs(services, principal, query, mode)
    with principal_scope(services.engine, principal) as connection:
        found = search.search_passages(connection, words, user_id=principal.user_id, vector=vector, limit=MAX_RESULTS)
    # Of a long answer, which is many passages, the best one stands for all; so it does for the question before it.
    best = {(one.conversation_id, (one.first_seq + 1) // 2): one for one in reversed(found)}
    return SearchResults(sorted(best.values(), key=lambda one: -one.score), used_mode)


def search_memories(services: ConversationServices, principal: Principal, query: str, mode: SearchMode) -> SearchResults[ScoredMemory]:
    """Return the facts that hold and fit. Raises Unauthorized and Unavailable."""
    vector, words, used_mode = _search_inputs(services, principal, query, mode)
    with principal_scope(services.engine, principal) as connection:
        found = search.search_facts(connection, words, vector=vector, limit=MAX_RESULTS)
        known = {one.id: one for one in memories.get_many(connection, [one.id for one in found], user_id=principal.user_id)}
    return SearchResults([ScoredMemory(known[one.id], one.score) for one in found if one.id in known], used_mode)


def _search_inputs(
    services: ConversationServices, principal: Principal, query: str, mode: SearchMode
) -> tuple[Vector | None, str, SearchMode]:
    """Return vector and words to search by, and the mode that they allow. No transaction is open while the vector is made."""
    if mode == "text":
        return None, query, "text"
    with principal_scope(services.engine, principal):
        pass  # a session that has ended spends nothing
    vector = services.embedding.query(query, billing_subject=BillingSubject(principal.user_id, principal.api_key_id))
    if vector is None:
        return None, query, "text"
    return vector, "" if mode == "semantic" else query, mode
