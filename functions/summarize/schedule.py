"""The scheduled run: finishes follow-up jobs, deletes conversations past their retention, and replaces outdated vectors."""

import time
from uuid import UUID

from functions.summarize.backfill import embed_missing_of_all_users
from functions.summarize.jobs import LEASE_S, run_claimed_job
from functions.summarize.services import SummarizeServices
from parley.db import conversations, outbox
from parley.db.engine import Engine
from parley.db.outbox import ClaimedEntry
from parley.db.transactions import global_scope, user_scope
from parley.deadline import Deadline
from parley.observability import logger

# Enough time for one more job.
MIN_TIME_LEFT_S = 15.0
_MAX_WAIT_S = 10.0
_POLL_S = 0.1
_DELETE_BATCH = 50
_QUEUE_BATCH = 500


def run_scheduled(services: SummarizeServices, deadline: Deadline) -> dict[str, int]:
    """Delete expired conversations, run the waiting follow-up jobs, oldest first, and embed texts without a current vector.

    New jobs run even before they are due; failed jobs run again only once they are due. The run waits up to `_MAX_WAIT_S` for jobs that
    other workers have begun: they may leave further jobs.

    Returns the number of conversations `deleted`, of jobs `done`, `failed` and, near the deadline, `sent_on` to the queue,
    and of users whose vectors were completed (`embedded`).
    """
    counts = {"done": 0, "failed": 0, "deleted": delete_expired_conversations(services, deadline), "sent_on": 0}
    waits_until_s = time.monotonic() + _MAX_WAIT_S
    while deadline.left_s > MIN_TIME_LEFT_S:
        if claimed := _claim_next(services.background):
            counts["done" if _try_job(services, claimed, deadline) else "failed"] += 1
        # Also true if another worker began a job just before the claim, or ended one after it and left a further one.
        elif _is_job_left(services.background) and time.monotonic() < waits_until_s:
            time.sleep(_POLL_S)
        else:
            break
    counts["embedded"] = embed_missing_of_all_users(services, deadline)
    if deadline.left_s <= MIN_TIME_LEFT_S:
        counts["sent_on"] = _queue_unclaimed(services)
    return counts


def delete_expired_conversations(services: SummarizeServices, deadline: Deadline) -> int:
    """Delete conversations past their retention, with the facts that come only from them, until the deadline; return their number.

    A user whose conversations cannot be deleted does not stop the others.
    """
    with global_scope(services.background) as connection:
        user_ids = conversations.users_with_expired(connection, default_days=services.retention_days)
    return sum(_delete_for_user(services, user_id, deadline) for user_id in user_ids)


def _delete_for_user(services: SummarizeServices, user_id: UUID, deadline: Deadline) -> int:
    total = 0
    try:
        while deadline.left_s > 0 and (count := _delete_batch(services, user_id)):
            total += count
    except Exception:
        # Continue with the other users, and with the jobs. The next run tries this user again.
        logger.exception("retention_failed", user_id=str(user_id))
    return total


def _delete_batch(services: SummarizeServices, user_id: UUID) -> int:
    with user_scope(services.engine, user_id) as connection:
        expired = conversations.lock_expired(connection, user_id=user_id, default_days=services.retention_days, limit=_DELETE_BATCH)
        for conversation_id in expired:
            conversations.remove(connection, conversation_id, user_id=user_id)
    return len(expired)


def _claim_next(background: Engine) -> ClaimedEntry | None:
    with global_scope(background) as connection:
        return outbox.claim_next(connection, lease_s=LEASE_S)


def _is_job_left(background: Engine) -> bool:
    with global_scope(background) as connection:
        return outbox.is_any_left(connection)


def _try_job(services: SummarizeServices, claimed: ClaimedEntry, deadline: Deadline) -> bool:
    try:
        run_claimed_job(services, claimed, deadline=deadline)
    except Exception:
        # Continue with the other jobs. This job is retried when it is due.
        logger.exception("follow_up_failed", entry_id=str(claimed.id), topic=claimed.topic, tries=claimed.tries)
        return False
    return True


def _queue_unclaimed(services: SummarizeServices) -> int:
    """Queue the jobs that no worker has claimed, so that several workers share them."""
    with global_scope(services.background) as connection:
        entries = outbox.unclaimed(connection, limit=_QUEUE_BATCH)
    for entry in entries:
        services.queue.send_entry(entry, at_once=True)
    return len(entries)
