"""The scheduled run: due entries, however recent, conversations past their retention, and vectors of an older model."""

from uuid import UUID

from functions.summarize.backfill import embed_missing_of_all_users
from functions.summarize.jobs import LEASE_S, run_claimed_job
from functions.summarize.services import SummarizeServices
from parley.db import conversations, outbox
from parley.db.outbox import ClaimedEntry
from parley.db.transactions import global_scope, user_scope
from parley.deadline import Deadline
from parley.observability import logger

_DELETE_BATCH = 50


def delete_expired_conversations(services: SummarizeServices, deadline: Deadline) -> int:
    """Delete what is too old, one user after the other, with all that was drawn only from it; return how many there were."""
    with global_scope(services.background) as connection:
        user_ids = conversations.users_with_expired(connection, default_days=services.retention_days)
    return sum(_delete_for_user(services, user_id, deadline) for user_id in user_ids)


def _delete_for_user(services: SummarizeServices, user_id: UUID, deadline: Deadline) -> int:
    count = 0
    while deadline.left_s > 0 and (found := _delete_batch(services, user_id)):
        count += found
    return count


def _delete_batch(services: SummarizeServices, user_id: UUID) -> int:
    with user_scope(services.engine, user_id) as connection:
        old = conversations.lock_expired(connection, user_id=user_id, default_days=services.retention_days, limit=_DELETE_BATCH)
        for conversation_id in old:
            conversations.remove(connection, conversation_id, user_id=user_id)
    return len(old)


# One conversation more may take so long.
MIN_TIME_LEFT_S = 15.0


_QUEUE_BATCH = 500


def run_scheduled(services: SummarizeServices, deadline: Deadline) -> dict[str, int]:
    """Work off what waits, one conversation after the other, delete what is too old, and embed anew what is of another model.

    Returns how many entries were done, failed and put on the queue for want of time, how many conversations were deleted, and
    how many users' vectors made anew.
    """
    counts = {"done": 0, "failed": 0, "deleted": delete_expired_conversations(services, deadline), "sent_on": 0}
    while deadline.left_s > MIN_TIME_LEFT_S and (claimed := _claim_next(services)):
        counts["done" if _try_job(services, claimed, deadline) else "failed"] += 1
    counts["embedded"] = embed_missing_of_all_users(services, deadline)
    if deadline.left_s <= MIN_TIME_LEFT_S:
        counts["sent_on"] = _queue_untouched(services)
    return counts


def _claim_next(services: SummarizeServices) -> ClaimedEntry | None:
    with global_scope(services.background) as connection:
        return outbox.claim_next(connection, lease_s=LEASE_S)


def _try_job(services: SummarizeServices, claimed: ClaimedEntry, deadline: Deadline) -> bool:
    try:
        run_claimed_job(services, claimed, deadline=deadline)
    except Exception:
        # The others have nothing to do with it; it is tried again when it is due.
        logger.exception("follow-up work failed", entry_id=str(claimed.id), topic=claimed.topic, tries=claimed.tries)
        return False
    return True


def _queue_untouched(services: SummarizeServices) -> int:
    """Put what nobody has begun on the queue, for many workers."""
    with global_scope(services.background) as connection:
        waiting = outbox.unclaimed(connection, limit=_QUEUE_BATCH)
    for entry in waiting:
        services.queue.send_entry(entry, at_once=True)
    return len(waiting)
