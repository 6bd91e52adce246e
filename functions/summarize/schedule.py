"""The schedule: everything that waits, however recent, what is too old to be kept, and vectors of another model than today's."""

from functions.summarize.desk import Desk
from functions.summarize.errands import LEASE_S, work
from functions.summarize.retention import delete_old
from functions.summarize.vectors import catch_up_all
from parley.db import outbox
from parley.db.outbox import ClaimedEntry
from parley.db.transactions import global_scope
from parley.deadline import Deadline
from parley.observability import logger

# One conversation more may take so long.
ENOUGH_S = 15.0
_AT_ONCE = 500


def take_all(services: Desk, deadline: Deadline) -> dict[str, int]:
    """Work off what waits, one conversation after the other, delete what is too old, and embed anew what is of another model.

    Returns how many entries were done, failed and put on the queue for want of time, how many conversations were deleted, and
    how many users' vectors made anew.
    """
    counts = {"done": 0, "failed": 0, "deleted": delete_old(services, deadline), "sent_on": 0}
    while deadline.left_s > ENOUGH_S and (claimed := _next(services)):
        counts["done" if _is_done(services, claimed, deadline) else "failed"] += 1
    counts["embedded"] = catch_up_all(services, deadline)
    if deadline.left_s <= ENOUGH_S:
        counts["sent_on"] = _send_on(services)
    return counts


def _next(services: Desk) -> ClaimedEntry | None:
    with global_scope(services.background) as connection:
        return outbox.claim_next(connection, lease_s=LEASE_S)


def _is_done(services: Desk, claimed: ClaimedEntry, deadline: Deadline) -> bool:
    try:
        work(services, claimed, deadline=deadline)
    except Exception:
        # The others have nothing to do with it; it is tried again when it is due.
        logger.exception("follow-up work failed", entry_id=str(claimed.id), topic=claimed.topic, tries=claimed.tries)
        return False
    return True


def _send_on(services: Desk) -> int:
    """Put what nobody has begun on the queue, for many workers."""
    with global_scope(services.background) as connection:
        waiting = outbox.unclaimed(connection, limit=_AT_ONCE)
    for entry in waiting:
        services.queue.send_entry(entry, at_once=True)
    return len(waiting)
