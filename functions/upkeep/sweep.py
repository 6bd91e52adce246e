"""The sweep: rows that have expired go, turns without a function end, and work that was lost on the way is sent again.

Documents that are not whole go to their queue.
"""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection

from functions.upkeep import export, rereading, watchdog
from functions.upkeep.desk import Desk
from parley.db import idempotency, outbox
from parley.db.accounts import api_keys, audit, exports, invites, login_throttle, one_time_codes, sessions, signups
from parley.db.metering import budgets, quotas
from parley.db.transactions import global_scope
from parley.db.turn import turn_begin, turn_events
from parley.errors import NotFound
from parley.jobs import OutboxJob
from parley.observability import logger

# An erasure is tried for ever, follow-up work ever more seldom; who waits for an export is told in the end.
MOST_ATTEMPTS = 5
_AT_ONCE = 100
_EXPIRED: dict[str, Callable[[Connection], int]] = {
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


def sweep(services: Desk) -> dict[str, int | None]:
    """Do every part and return how many rows each deleted, ended or sent again; None for a part that failed."""
    # Turns first: their reservations tell what they cost.
    done = {"interrupted": _counted("interrupted", partial(watchdog.end_silent_turns, services))}
    done["approvals_expired"] = _counted("approvals_expired", partial(watchdog.end_expired_turns, services))
    done |= {name: _counted(name, partial(_delete, services, part)) for name, part in _EXPIRED.items()}
    done["documents"] = _counted("documents", partial(rereading.send_unfinished, services))
    done["vectors"] = _counted("vectors", partial(rereading.send_without_vectors, services))
    return done | {"sent_again": _counted("sent_again", partial(send_again, services))}


def resend(services: Desk) -> None:
    """Send lost work again; if that fails, log it and leave it to the sweep."""
    _counted("sent_again", partial(send_again, services))


def _counted(name: str, part: Callable[[], int]) -> int | None:
    try:
        return part()
    except Exception:
        # The other parts have nothing to do with it.
        logger.exception("a part of the sweep failed", part=name)
        return None


def _delete(services: Desk, part: Callable[[Connection], int]) -> int:
    with global_scope(services.background) as connection:
        return part(connection)


def send_again(services: Desk) -> int:
    """Send what is due, a batch at a time; what is taken and not sent is due again a quarter of an hour later."""
    count = 0
    while entries := _take(services):
        for entry in entries:
            _send_or_give_up(services, entry)
        count += len(entries)
    return count


def _send_or_give_up(services: Desk, entry: outbox.OutboxEntry) -> None:
    if entry.topic != "export" or entry.attempts <= MOST_ATTEMPTS:
        queue = services.memory_queue if entry.topic in outbox.FOLLOW_UP_TOPICS else services.queue
        return queue.send(OutboxJob.of(entry))
    try:
        export.give_up(services, entry)
    except NotFound as gone:
        logger.info("work came too late", entry_id=str(entry.id), reason=str(gone))


def _take(services: Desk) -> list[outbox.OutboxEntry]:
    with global_scope(services.background) as connection:
        return outbox.take_due(connection, limit=_AT_ONCE)
