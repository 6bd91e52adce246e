"""Facts that users write or correct themselves, and the request to read a conversation now.

Reading a conversation, for its summary and its facts, is the work of the summarize function; here it is only queued.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine

from functions.conversation.schemas import MemoryIn, MemoryOut
from functions.conversation.services import ConversationServices
from parley.auth.principal import Principal
from parley.db import conversations, memories, outbox
from parley.db.memories import Memory
from parley.db.transactions import principal_scope, user_scope
from parley.http.idempotency import Idempotency
from parley.ids import new_id
from parley.jobs import MemoryQueue
from parley.memory.facts import judge_fact
from parley.metering.limits import BillingSubject

MEMORIES_ROUTE = "POST /memories"


def store_fact(services: ConversationServices, principal: Principal, body: MemoryIn, once: Idempotency) -> MemoryOut | dict[str, Any]:
    """Store a fact, or answer as the first time. Its vector comes after it: a request that is repeated pays for none.

    Raises KeyReused, Unauthorized and Unavailable.
    """
    made: list[Memory] = []
    with principal_scope(services.engine, principal) as connection:
        answer = once.run_once(
            connection, principal.user_id, MEMORIES_ROUTE, body, lambda: _find_or_add(connection, principal, body.text, made)
        )
    for memory in made:
        if vectors := services.embedding.try_vectors([memory.text], billing_subject=_payer(principal)):
            with user_scope(services.engine, principal.user_id) as connection:
                memories.put_vectors(connection, [(memory.id, vectors[0])], user_id=principal.user_id)
    return answer


def correct_fact(services: ConversationServices, principal: Principal, memory_id: UUID, text: str) -> Memory:
    """Give a fact another text. Raises NotFound, Unauthorized and Unavailable."""
    with principal_scope(services.engine, principal) as connection:
        memories.get(connection, memory_id, user_id=principal.user_id)
    vectors = services.embedding.try_vectors([text], billing_subject=_payer(principal))
    with principal_scope(services.engine, principal) as connection:
        return memories.change(connection, memory_id, user_id=principal.user_id, text=text, vector=vectors[0] if vectors else None)


def _find_or_add(connection: Connection, principal: Principal, text: str, made: list[Memory]) -> MemoryOut:
    judged = judge_fact(text, memories.lock_current(connection, user_id=principal.user_id))
    if judged.known_id:
        return MemoryOut.model_validate(memories.get(connection, judged.known_id, user_id=principal.user_id))
    memory_id = new_id()
    memories.add(connection, memory_id, user_id=principal.user_id, text=text, source="user", supersedes=judged.supersedes)
    made.append(memories.get(connection, memory_id, user_id=principal.user_id))
    return MemoryOut.model_validate(made[0])


def _payer(principal: Principal) -> BillingSubject:
    return BillingSubject(principal.user_id, principal.api_key_id)


def request_summary(engine: Engine, queue: MemoryQueue, principal: Principal, conversation_id: UUID) -> None:
    """Note that the conversation is to be read, and send the note. Raises NotFound, Unauthorized and Unavailable."""
    with principal_scope(engine, principal) as connection:
        conversations.get(connection, conversation_id, user_id=principal.user_id)
        entry = outbox.request_memory_update(connection, conversation_id, user_id=principal.user_id)
    queue.send_entry(entry, at_once=True)
