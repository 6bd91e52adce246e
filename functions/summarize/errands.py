"""Which entry means which work, and what becomes of it."""

from functions.summarize.desk import Desk
from functions.summarize.remembering import remember
from functions.summarize.titles import entitle
from parley.asking import OutOfTime
from parley.db import follow_up
from parley.db.follow_up import Claim
from parley.db.scope import user_scope
from parley.deadline import Deadline
from parley.errors import NotFound
from parley.limits import BudgetExhausted
from parley.observability import logger
from parley.upkeep import Message, UnknownMessage, Work

# Longer than the function may run: who has the claim is dead then.
LEASE_S = 330.0
# A title is a nicety.
MOST_TITLE_TRIES = 5


def run(desk: Desk, message: Message, *, deadline: Deadline) -> None:
    """Do the work of an entry; nothing if it is done, or somebody is at it. Raises UnknownMessage, and what the work failed by."""
    if not isinstance(message, Work) or message.topic not in follow_up.TOPICS:
        raise UnknownMessage(f"no work here by {message.type!r}")
    with user_scope(desk.engine, message.user_id) as connection:
        claimed = follow_up.claim(connection, message.entry_id, user_id=message.user_id, lease_s=LEASE_S)
    if claimed:
        work(desk, claimed, deadline=deadline)


def work(desk: Desk, claimed: Claim, *, deadline: Deadline) -> None:
    """Do what has been claimed. Where it fails, or the function dies, it is tried again; where money is short, later."""
    try:
        _do(desk, claimed, deadline)
    except NotFound as gone:
        logger.info("a conversation went before it was remembered", entry_id=str(claimed.id), reason=str(gone))
        _end(desk, claimed, is_dropped=True)
    except BudgetExhausted as short:
        logger.info("nothing is left of a budget for follow-up work", topic=claimed.topic, reason=str(short))
        _end(desk, claimed, is_dropped=claimed.topic == "title")
    except OutOfTime:
        _end(desk, claimed)
        desk.queue.send_entry(claimed.entry, at_once=True)
    except Exception:
        _end(desk, claimed, is_dropped=claimed.topic == "title" and claimed.tries >= MOST_TITLE_TRIES)
        raise


def _do(desk: Desk, claimed: Claim, deadline: Deadline) -> None:
    (entitle if claimed.topic == "title" else remember)(desk, claimed, deadline)
    with user_scope(desk.engine, claimed.user_id) as connection:
        is_done = follow_up.finish(connection, claimed)
    if not is_done:
        desk.queue.send_entry(claimed.entry)


def _end(desk: Desk, claimed: Claim, *, is_dropped: bool = False) -> None:
    with user_scope(desk.engine, claimed.user_id) as connection:
        (follow_up.drop if is_dropped else follow_up.release)(connection, claimed)
