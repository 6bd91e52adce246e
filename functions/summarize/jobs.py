"""Runs follow-up jobs, which are outbox entries: claims an entry, does its work, and finishes, releases or drops it."""

from uuid import UUID

from functions.summarize.conversation_memory import remember_conversation
from functions.summarize.services import SummarizeServices
from functions.summarize.summaries import summarize_conversation
from functions.summarize.titles import generate_title
from parley.db import conversations, outbox, summaries
from parley.db.engine import Connection, Engine
from parley.db.outbox import ClaimedEntry, OutboxEntry
from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.errors import NotFound
from parley.jobs import Job, OutboxJob, UnknownJob
from parley.metering.completion import DeadlineTooClose
from parley.metering.limits import BudgetExhausted
from parley.observability import logger

# Longer than the function's time limit, so an older claim belongs to a dead worker.
LEASE_S = 330.0
# A quarter of the smallest prompts: the summary must reach the window's beginning before more has left it.
SUMMARY_DUE_TOKENS = 1000
# A title is not worth endless retries.
MAX_TITLE_TRIES = 5


def run_job(services: SummarizeServices, job: Job, *, deadline: Deadline) -> None:
    """Run a job, unless it is done or another worker has claimed it. The job of a title also reads the conversation's facts.

    Raises UnknownJob for a job that is not follow-up work, and the jobs' own errors. The facts are read even if the title fails.
    """
    if not isinstance(job, OutboxJob) or job.topic not in outbox.FOLLOW_UP_TOPICS:
        raise UnknownJob(f"not follow-up work: {job.type!r}")
    with user_scope(services.engine, job.user_id) as connection:
        claimed = outbox.claim(connection, job.entry_id, user_id=job.user_id, lease_s=LEASE_S)
    try:
        if claimed:
            run_claimed_job(services, claimed, deadline=deadline)
    finally:
        if job.topic == "title" and job.subject_id:
            _read_facts(services, job.subject_id, user_id=job.user_id, deadline=deadline)


def _read_facts(services: SummarizeServices, conversation_id: UUID, *, user_id: UUID, deadline: Deadline) -> None:
    with user_scope(services.engine, user_id) as connection:
        claimed = outbox.claim_topic(connection, "remember", conversation_id, user_id=user_id, lease_s=LEASE_S)
    if claimed:
        run_claimed_job(services, claimed, deadline=deadline)


def run_claimed_job(services: SummarizeServices, claimed: ClaimedEntry, *, deadline: Deadline) -> None:
    """Run a claimed job, and drop or release its entry if the job cannot finish.

    - If the conversation was deleted, the entry is dropped.
    - If the budget is exhausted, a title is dropped, and any other entry is released and retried when it is due.
    - If the deadline is too close, the entry is released and queued again immediately.
    - After any other error, the entry is released, or dropped if it is a title that failed `MAX_TITLE_TRIES` times. The error is raised.
    """
    try:
        _run_topic(services, claimed, deadline)
    except NotFound as exc:
        logger.info("job_skipped", entry_id=str(claimed.id), reason=str(exc))
        _end_claim(services.engine, claimed, is_dropped=True)
    except BudgetExhausted as exc:
        logger.info("follow_up_budget_exhausted", topic=claimed.topic, reason=str(exc))
        _end_claim(services.engine, claimed, is_dropped=claimed.topic == "title")
    except DeadlineTooClose:
        _end_claim(services.engine, claimed, is_dropped=False)
        services.queue.send_entry(claimed.entry, at_once=True)
    except Exception:
        _end_claim(services.engine, claimed, is_dropped=claimed.topic == "title" and claimed.tries >= MAX_TITLE_TRIES)
        raise


def _run_topic(services: SummarizeServices, claimed: ClaimedEntry, deadline: Deadline) -> None:
    title, summary_entry = "", None
    match claimed.topic:
        case "title":
            title = generate_title(services, claimed, deadline)
        case "summary":
            summarize_conversation(services, claimed, deadline)
        case _:
            remember_conversation(services, claimed, deadline)
    with user_scope(services.engine, claimed.user_id) as connection:
        if title:
            conversations.set_generated_title(connection, claimed.subject_id, user_id=claimed.user_id, title=title)
        if claimed.topic == "remember":
            summary_entry = _request_summary(connection, claimed)
        is_done = outbox.finish_claim(connection, claimed)
    if not is_done:
        # Another turn ended meanwhile, so the entry was reset and must run again.
        services.queue.send_entry(claimed.entry)
    if summary_entry:
        services.queue.send_entry(summary_entry)


def _request_summary(connection: Connection, claimed: ClaimedEntry) -> OutboxEntry | None:
    """Note that the summary lacks messages, if it does. It is due soon if they are so many that they may leave the prompt's window."""
    lacking = summaries.lacking_tokens(connection, claimed.subject_id, user_id=claimed.user_id)
    if not lacking:
        return None
    is_due = lacking >= SUMMARY_DUE_TOKENS
    entry, is_to_send = outbox.request_summary(connection, claimed.subject_id, user_id=claimed.user_id, is_due=is_due)
    return entry if is_to_send else None


def _end_claim(engine: Engine, claimed: ClaimedEntry, *, is_dropped: bool) -> None:
    end = outbox.drop_claim if is_dropped else outbox.release_claim
    with user_scope(engine, claimed.user_id) as connection:
        end(connection, claimed)
