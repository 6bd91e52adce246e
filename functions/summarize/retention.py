"""The end of conversations that are older than their user wants them kept."""

from uuid import UUID

from functions.summarize.desk import Desk
from parley.db import conversations, retention
from parley.db.scope import open_scope, user_scope
from parley.deadline import Deadline

_AT_ONCE = 50


def delete_old(desk: Desk, deadline: Deadline) -> int:
    """Delete what is too old, one user after the other, with all that was drawn only from it; return how many there were."""
    with open_scope(desk.background) as connection:
        user_ids = retention.users_with_old(connection, default_days=desk.retention_days)
    return sum(_delete_of(desk, user_id, deadline) for user_id in user_ids)


def _delete_of(desk: Desk, user_id: UUID, deadline: Deadline) -> int:
    count = 0
    while deadline.left_s > 0 and (found := _delete_some(desk, user_id)):
        count += found
    return count


def _delete_some(desk: Desk, user_id: UUID) -> int:
    with user_scope(desk.engine, user_id) as connection:
        old = retention.take_old(connection, user_id=user_id, default_days=desk.retention_days, limit=_AT_ONCE)
        for conversation_id in old:
            conversations.remove(connection, conversation_id, user_id=user_id)
    return len(old)
