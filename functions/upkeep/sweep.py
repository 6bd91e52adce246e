"""The sweep: deletes expired rows, ends stale turns, sends lost work again and requeues incomplete documents.

Ingestion continues an incomplete document where it stopped, fails one whose file never came, and embeds a ready one that
lacks vectors: after an outage, with a new month's budget, or since the catalogue names another model.
"""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection

from functions.upkeep import stale_turns, user_data
from functions.upkeep.services import UpkeepServices
from parley.db import documents, idempotency, outbox
from parley.db.accounts import api_keys, audit, exports, invites, login_throttle, one_time_codes, sessions, signups
from parley.db.metering import budgets, quotas
from parley.db.transactions import global_scope
from parley.db.turn import turn_begin, turn_events
from parley.errors import NotFound
from parley.jobs import OutboxJob
from parley.observability import logger

# The lease of a worker that died has ended long since, and the message that it left has come.
_UNFINISHED_AFTER_S = 1800.0


_DOCUMENT_BATCH = 500


# A sweep has 100 seconds; the next one goes on.
_MAX_DOCUMENTS = 20_000


def requeue_unfinished(services: UpkeepServices) -> int:
    """Queue what nobody has worked on for half an hour, and return how many. Raises Unavailable."""
    with global_scope(services.background) as connection:
        found = documents.find_stalled(connection, limit=_MAX_DOCUMENTS, older_than_s=_UNFINISHED_AFTER_S)
    return services.ingest_queue.send_all(found)


def requeue_without_vectors(services: UpkeepServices) -> int:
    """Queue what is ready without vectors of the model that makes them now, and return how many. Raises Unavailable."""
    model, count, last = services.embedding_model(), 0, None
    while model and count < _MAX_DOCUMENTS:
        with global_scope(services.background) as connection:
            found = documents.find_without_vectors(connection, model=model, limit=_DOCUMENT_BATCH, after=last)
        count += services.ingest_queue.send_all(found)
        if len(found) < _DOCUMENT_BATCH:
            break
        last = found[-1]
    return count


# An erasure is tried for ever, follow-up work ever more seldom; who waits for an export is told in the end.
MAX_ATTEMPTS = 5


_RESEND_BATCH = 100


_EXPIRED_ROWS: dict[str, Callable[[Connection], int]] = {
    "guesses": login_throttle.sweep,
    "signups": signups.sweep,
    "invites": invites.sweep,
    "codes": one_time_codes.sweep,
    "idempotency_keys": idempotency.sweep,
    "sessions": sessions.sweep,
    "budget_reservations": budgets.sweep,
    "rate_limits": quotas.sweep_rate_limits,
    "exports": exports.sweep,
    "api_keys": api_keys.sweep,
    "audit_events": audit.sweep,
    "turn_keys": turn_begin.release_expired_keys,
    "turn_events": turn_events.sweep,
}


def sweep(services: UpkeepServices) -> dict[str, int | None]:
    """Do every part and return how many rows each deleted, ended or sent again; None for a part that failed."""
    # Turns first: their reservations tell what they cost.
    done = {"interrupted": _count_or_log("interrupted", partial(stale_turns.end_stale_turns, services))}
    done["approvals_expired"] = _count_or_log("approvals_expired", partial(stale_turns.end_expired_turns, services))
    done |= {name: _count_or_log(name, partial(_delete, services, part)) for name, part in _EXPIRED_ROWS.items()}
    done["documents"] = _count_or_log("documents", partial(requeue_unfinished, services))
    done["vectors"] = _count_or_log("vectors", partial(requeue_without_vectors, services))
    return done | {"sent_again": _count_or_log("sent_again", partial(resend_due, services))}


def resend(services: UpkeepServices) -> None:
    """Send lost work again; if that fails, log it and leave it to the sweep."""
    _count_or_log("sent_again", partial(resend_due, services))


def _count_or_log(name: str, part: Callable[[], int]) -> int | None:
    try:
        return part()
    except Exception:
        # The other parts have nothing to do with it.
        logger.exception("a part of the sweep failed", part=name)
        return None


def _delete(services: UpkeepServices, part: Callable[[Connection], int]) -> int:
    with global_scope(services.background) as connection:
        return part(connection)


def resend_due(services: UpkeepServices) -> int:
    """Send what is due, a batch at a time; what is taken and not sent is due again a quarter of an hour later."""
    count = 0
    while entries := _take_due(services):
        for entry in entries:
            _send_or_give_up(services, entry)
        count += len(entries)
    return count


def _send_or_give_up(services: UpkeepServices, entry: outbox.OutboxEntry) -> None:
    if entry.topic != "export" or entry.attempts <= MAX_ATTEMPTS:
        queue = services.memory_queue if entry.topic in outbox.FOLLOW_UP_TOPICS else services.queue
        return queue.send(OutboxJob.of(entry))
    try:
        user_data.give_up_export(services, entry)
    except NotFound as gone:
        logger.info("work came too late", entry_id=str(entry.id), reason=str(gone))


def _take_due(services: UpkeepServices) -> list[outbox.OutboxEntry]:
    with global_scope(services.background) as connection:
        return outbox.take_due(connection, limit=_RESEND_BATCH)
