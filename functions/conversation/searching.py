"""Search over a user's own past: conversations and facts, by words, by meaning, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from functions.conversation.desk import Desk
from parley.auth.principal import Principal
from parley.db import memories, search
from parley.db.memories import Memory
from parley.db.search import FoundPassage
from parley.db.transactions import principal_scope
from parley.db.vectors import Vector
from parley.metering.limits import BillingSubject

type Mode = Literal["hybrid", "text", "semantic"]

# Further down nobody pages, and nothing there has to do with the question.
MOST = 200


@dataclass(frozen=True, slots=True)
class Found[T]:
    """What was found, the best first, and how: `mode` is `text` where no embedding service answered."""

    items: Sequence[T]
    mode: Mode


@dataclass(frozen=True, slots=True)
class FoundMemory:
    """A fact, and how well it fits."""

    memory: Memory
    score: float


def search_conversations(services: Desk, principal: Principal, query: str, mode: Mode) -> Found[FoundPassage]:
    """Return the passages that fit, one for each exchange of question and answer. Raises Unauthorized and Unavailable."""
    vector, words, done = _asked(services, principal, query, mode)
    with principal_scope(services.engine, principal) as connection:
        found = search.search_passages(connection, words, user_id=principal.user_id, vector=vector, limit=MOST)
    # Of a long answer, which is many passages, the best one stands for all; so it does for the question before it.
    best = {(one.conversation_id, (one.first_seq + 1) // 2): one for one in reversed(found)}
    return Found(sorted(best.values(), key=lambda one: -one.score), done)


def search_memories(services: Desk, principal: Principal, query: str, mode: Mode) -> Found[FoundMemory]:
    """Return the facts that hold and fit. Raises Unauthorized and Unavailable."""
    vector, words, done = _asked(services, principal, query, mode)
    with principal_scope(services.engine, principal) as connection:
        found = search.search_facts(connection, words, vector=vector, limit=MOST)
        known = {one.id: one for one in memories.get_many(connection, [one.id for one in found], user_id=principal.user_id)}
    return Found([FoundMemory(known[one.id], one.score) for one in found if one.id in known], done)


def _asked(services: Desk, principal: Principal, query: str, mode: Mode) -> tuple[Vector | None, str, Mode]:
    """Return vector and words to search by, and the mode that they allow. No transaction is open while the vector is made."""
    if mode == "text":
        return None, query, "text"
    with principal_scope(services.engine, principal):
        pass  # a session that has ended spends nothing
    vector = services.embedding.query(query, billing_subject=BillingSubject(principal.user_id, principal.api_key_id))
    if vector is None:
        return None, query, "text"
    return vector, "" if mode == "semantic" else query, mode
