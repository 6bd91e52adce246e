"""Search over a user's own past: conversations and facts, by words, by meaning, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from functions.conversation.desk import Desk
from parley.auth.principal import Principal
from parley.db import memories, recall
from parley.db.halfvec import Vector
from parley.db.memories import Memory
from parley.db.recall import FoundPassage
from parley.db.scope import principal_scope
from parley.limits import Payer

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


def search_conversations(desk: Desk, principal: Principal, query: str, mode: Mode) -> Found[FoundPassage]:
    """Return the passages that fit, one for each exchange of question and answer. Raises Unauthorized and Unavailable."""
    vector, words, done = _asked(desk, principal, query, mode)
    with principal_scope(desk.engine, principal) as connection:
        found = recall.search_passages(connection, words, user_id=principal.user_id, vector=vector, most=MOST)
    # Of a long answer, which is many passages, the best one stands for all; so it does for the question before it.
    best = {(one.conversation_id, (one.first_seq + 1) // 2): one for one in reversed(found)}
    return Found(sorted(best.values(), key=lambda one: -one.score), done)


def search_memories(desk: Desk, principal: Principal, query: str, mode: Mode) -> Found[FoundMemory]:
    """Return the facts that hold and fit. Raises Unauthorized and Unavailable."""
    vector, words, done = _asked(desk, principal, query, mode)
    with principal_scope(desk.engine, principal) as connection:
        found = recall.search_facts(connection, words, vector=vector, most=MOST)
        known = {one.id: one for one in memories.some(connection, [one.id for one in found], user_id=principal.user_id)}
    return Found([FoundMemory(known[one.id], one.score) for one in found if one.id in known], done)


def _asked(desk: Desk, principal: Principal, query: str, mode: Mode) -> tuple[Vector | None, str, Mode]:
    """Return vector and words to search by, and the mode that they allow. No transaction is open while the vector is made."""
    if mode == "text":
        return None, query, "text"
    with principal_scope(desk.engine, principal):
        pass  # a session that has ended spends nothing
    vector = desk.embedding.query(query, payer=Payer(principal.user_id, principal.api_key_id))
    if vector is None:
        return None, query, "text"
    return vector, "" if mode == "semantic" else query, mode
