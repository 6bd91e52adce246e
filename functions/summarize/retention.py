"""The end of conversations that are older than their user wants them kept."""

from uuid import UUID

from functions.summarize.desk import Desk
from parley.db import conversations
from parley.db.transactions import global_scope, user_scope
from parley.deadline import Deadline

_AT_ONCE = 50


def delete_old(services: Desk, deadline: Deadline) -> int:
    """Delete what is too old, one user after the other, with all that was drawn only from it; return how many there were."""
    with global_scope(services.background) as connection:
        user_ids = conversations.users_with_expired(connection, default_days=services.retention_days)
    return sum(_delete_of(services, user_id, deadline) for user_id in user_ids)


def _delete_of(services: Desk, user_id: UUID, deadline: Deadline) -> int:
    count = 0
    while deadline.left_s > 0 and (found := _delete_some(services, user_id)):
        count += found
    return count


def _delete_some(services: Desk, user_id: UUID) -> int:
    with user_scope(services.engine, user_id) as connection:
        old = conversations.lock_expired(connection, user_id=user_id, default_days=services.retention_days, limit=_AT_ONCE)
        for conversation_id in old:
            conversations.remove(connection, conversation_id, user_id=user_id)
    return len(old)
