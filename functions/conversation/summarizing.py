"""Asks for a conversation to be read now, and not when it is due. The work is the summarize function's."""

from uuid import UUID

from sqlalchemy import Engine

from parley.auth.principal import Principal
from parley.db import conversations, outbox
from parley.db.transactions import principal_scope
from parley.jobs import MemoryQueue


def ask(engine: Engine, queue: MemoryQueue, principal: Principal, conversation_id: UUID) -> None:
    """Note that the conversation is to be read, and send the note. Raises NotFound, Unauthorized and Unavailable."""
    with principal_scope(engine, principal) as connection:
        conversations.get(connection, conversation_id, user_id=principal.user_id)
        entry = outbox.request_memory_update(connection, conversation_id, user_id=principal.user_id)
    queue.send_entry(entry, at_once=True)
