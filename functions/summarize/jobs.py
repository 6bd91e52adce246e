"""Runs outbox entries: claims one, does its work, and finishes, releases or drops it."""

from functions.summarize.conversation_memory import remember_conversation
from functions.summarize.services import SummarizeServices
from functions.summarize.titles import write_title
from parley.db import outbox
from parley.db.outbox import ClaimedEntry
from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.errors import NotFound
from parley.jobs import Job, OutboxJob, UnknownJob
from parley.metering.completion import DeadlineTooClose
from parley.metering.limits import BudgetExhausted
from parley.observability import logger

# Longer than the function may run: who has the claim is dead then.
LEASE_S = 330.0
# A title is a nicety.
MAX_TITLE_TRIES = 5


def run_job(services: SummarizeServices, message: Job, *, deadline: Deadline) -> None:
    """Do the work of an entry; nothing if it is done, or somebody is at it. Raises UnknownMessage, and what the work failed by."""
    if not isinstance(message, OutboxJob) or message.topic not in outbox.FOLLOW_UP_TOPICS:
        raise UnknownJob(f"no work here by {message.type!r}")
    with user_scope(services.engine, message.user_id) as connection:
        claimed = outbox.claim(connection, message.entry_id, user_id=message.user_id, lease_s=LEASE_S)
    if claimed:
        run_claimed_job(services, claimed, deadline=deadline)


def run_claimed_job(services: SummarizeServices, claimed: ClaimedEntry, *, deadline: Deadline) -> None:
    """Do what has been claimed. Where it fails, or the function dies, it is tried again; where money is short, later."""
    try:
        _run_topic(services, claimed, deadline)
    except NotFound as gone:
        logger.info("a conversation went before it was remembered", entry_id=str(claimed.id), reason=str(gone))
        _give_back(services, claimed, is_dropped=True)
    except BudgetExhausted as short:
        logger.info("nothing is left of a budget for follow-up work", topic=claimed.topic, reason=str(short))
        _give_back(services, claimed, is_dropped=claimed.topic == "title")
    except DeadlineTooClose:
        _give_back(services, claimed)
        services.queue.send_entry(claimed.entry, at_once=True)
    except Exception:
        _give_back(services, claimed, is_dropped=claimed.topic == "title" and claimed.tries >= MAX_TITLE_TRIES)
        raise


def _run_topic(services: SummarizeServices, claimed: ClaimedEntry, deadline: Deadline) -> None:
    (write_title if claimed.topic == "title" else remember_conversation)(services, claimed, deadline)
    with user_scope(services.engine, claimed.user_id) as connection:
        is_done = outbox.finish_claim(connection, claimed)
    if not is_done:
        services.queue.send_entry(claimed.entry)


def _give_back(services: SummarizeServices, claimed: ClaimedEntry, *, is_dropped: bool = False) -> None:
    with user_scope(services.engine, claimed.user_id) as connection:
        (outbox.drop_claim if is_dropped else outbox.release_claim)(connection, claimed)
