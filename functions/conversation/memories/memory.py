"""Facts that users write or correct themselves, and requests to summarize a conversation.

The summarize function writes the summaries and extracts facts from conversations; this module only queues that work.
"""

from dataclasses import dataclass
from uuid import UUID

from functions.conversation.services import ConversationServices
from parley.auth.principal import Principal
from parley.db import conversations, memories, outbox
from parley.db.engine import Connection, Engine
from parley.db.memories import Memory
from parley.db.transactions import principal_scope, user_scope
from parley.http.idempotency import IdempotentRequest, IdempotentResult
from parley.ids import new_id
from parley.jobs import MemoryQueue
from parley.memory.facts import judge_fact
from parley.metering.limits import BillingSubject


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact. `is_new` is true if this request added it, and false if it was known before."""

    memory: Memory
    is_new: bool


def store_fact(
    services: ConversationServices, principal: Principal, text: str, request: IdempotentRequest[StoredFact]
) -> IdempotentResult[StoredFact]:
    """Store a fact, then embed it. Raises IdempotencyKeyReused, Unauthorized and Unavailable.

    Only a new fact is embedded, after it is committed, so a repeated request costs nothing.
    """
    with principal_scope(services.engine, principal) as connection:
        result = request.run_once(connection, principal.user_id, lambda: _find_or_add(connection, principal.user_id, text))
    if result.value and result.value.is_new:
        _embed(services, principal, result.value.memory)
    return result


def correct_fact(services: ConversationServices, principal: Principal, memory_id: UUID, text: str) -> Memory:
    """Replace a fact's text. Raises NotFound, Unauthorized and Unavailable."""
    with principal_scope(services.engine, principal) as connection:
        memories.get(connection, memory_id, user_id=principal.user_id)
    vectors = services.embedding.try_vectors([text], billing_subject=_billing_subject(principal))
    with principal_scope(services.engine, principal) as connection:
        return memories.change(connection, memory_id, user_id=principal.user_id, text=text, vector=vectors[0] if vectors else None)


def request_summary(engine: Engine, queue: MemoryQueue, principal: Principal, conversation_id: UUID) -> None:
    """Queue the conversation for the summarize function. Raises NotFound, Unauthorized and Unavailable."""
    with principal_scope(engine, principal) as connection:
        conversations.get(connection, conversation_id, user_id=principal.user_id)
        facts = outbox.request_memory_update(connection, conversation_id, user_id=principal.user_id)
        summary, _ = outbox.request_summary(connection, conversation_id, user_id=principal.user_id, is_due=True)
    for entry in (facts, summary):
        queue.send_entry(entry, at_once=True)


def _find_or_add(connection: Connection, user_id: UUID, text: str) -> StoredFact:
    judged = judge_fact(text, memories.lock_current(connection, user_id=user_id))
    if judged.known_id:
        return StoredFact(memories.get(connection, judged.known_id, user_id=user_id), is_new=False)
    memory_id = new_id()
    memories.add(connection, memory_id, user_id=user_id, text=text, source="user", supersedes=judged.supersedes)
    return StoredFact(memories.get(connection, memory_id, user_id=user_id), is_new=True)


def _embed(services: ConversationServices, principal: Principal, memory: Memory) -> None:
    if vectors := services.embedding.try_vectors([memory.text], billing_subject=_billing_subject(principal)):
        with user_scope(services.engine, principal.user_id) as connection:
            memories.put_vectors(connection, [(memory.id, memory.text)], vectors, user_id=principal.user_id)


def _billing_subject(principal: Principal) -> BillingSubject:
    return BillingSubject(principal.user_id, principal.api_key_id)
