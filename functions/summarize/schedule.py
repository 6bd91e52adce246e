"""The schedule: everything that waits, however recent, what is too old to be kept, and vectors of another model than today's."""

from functions.summarize.desk import Desk
from functions.summarize.errands import LEASE_S, work
from functions.summarize.retention import delete_old
from functions.summarize.vectors import catch_up_all
from parley.db import follow_up
from parley.db.follow_up import Claim
from parley.db.scope import open_scope
from parley.deadline import Deadline
from parley.observability import logger

# One conversation more may take so long.
ENOUGH_S = 15.0
_AT_ONCE = 500


def take_all(desk: Desk, deadline: Deadline) -> dict[str, int]:
    """Work off what waits, one conversation after the other, delete what is too old, and embed anew what is of another model.

    Returns how many entries were done, failed and put on the queue for want of time, how many conversations were deleted, and
    how many users' vectors made anew.
    """
    counts = {"done": 0, "failed": 0, "deleted": delete_old(desk, deadline), "sent_on": 0}
    while deadline.left_s > ENOUGH_S and (claimed := _next(desk)):
        counts["done" if _is_done(desk, claimed, deadline) else "failed"] += 1
    counts["embedded"] = catch_up_all(desk, deadline)
    if deadline.left_s <= ENOUGH_S:
        counts["sent_on"] = _send_on(desk)
    return counts


def _next(desk: Desk) -> Claim | None:
    with open_scope(desk.background) as connection:
        return follow_up.claim_next(connection, lease_s=LEASE_S)


def _is_done(desk: Desk, claimed: Claim, deadline: Deadline) -> bool:
    try:
        work(desk, claimed, deadline=deadline)
    except Exception:
        # The others have nothing to do with it; it is tried again when it is due.
        logger.exception("follow-up work failed", entry_id=str(claimed.id), topic=claimed.topic, tries=claimed.tries)
        return False
    return True


def _send_on(desk: Desk) -> int:
    """Put what nobody has begun on the queue, for many workers."""
    with open_scope(desk.background) as connection:
        waiting = follow_up.untouched(connection, limit=_AT_ONCE)
    for entry in waiting:
        desk.queue.send_entry(entry, at_once=True)
    return len(waiting)
