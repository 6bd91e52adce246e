"""The sweep: rows that have expired go, turns without a function end, and work that was lost on the way is sent again.

Documents that are not whole go to their queue.
"""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection

from functions.upkeep import export, rereading, watchdog
from functions.upkeep.desk import Desk
from parley.db import (
    api_keys,
    audit,
    budgets,
    codes,
    exports,
    follow_up,
    guesses,
    idempotency,
    invites,
    outbox,
    rate_limits,
    sessions,
    signups,
    turn_beginnings,
    turn_events,
)
from parley.db.scope import open_scope
from parley.errors import NotFound
from parley.observability import logger
from parley.upkeep import Work

# An erasure is tried for ever, follow-up work ever more seldom; who waits for an export is told in the end.
MOST_ATTEMPTS = 5
_AT_ONCE = 100
_EXPIRED: dict[str, Callable[[Connection], int]] = {
    "guesses": guesses.sweep,
    "signups": signups.sweep,
    "invites": invites.sweep,
    "codes": codes.sweep,
    "idempotency_keys": idempotency.sweep,
    "sessions": sessions.sweep,
    "budget_reservations": budgets.sweep,
    "rate_limits": rate_limits.sweep,
    "exports": exports.sweep,
    "api_keys": api_keys.sweep,
    "audit_events": audit.sweep,
    "turn_keys": turn_beginnings.forget_keys,
    "turn_events": turn_events.sweep,
}


def sweep(desk: Desk) -> dict[str, int | None]:
    """Do every part and return how many rows each deleted, ended or sent again; None for a part that failed."""
    # Turns first: their reservations tell what they cost.
    done = {"interrupted": _counted("interrupted", partial(watchdog.end_silent_turns, desk))}
    done["approvals_expired"] = _counted("approvals_expired", partial(watchdog.end_expired_turns, desk))
    done |= {name: _counted(name, partial(_delete, desk, part)) for name, part in _EXPIRED.items()}
    done["documents"] = _counted("documents", partial(rereading.send_unfinished, desk))
    done["vectors"] = _counted("vectors", partial(rereading.send_without_vectors, desk))
    return done | {"sent_again": _counted("sent_again", partial(send_again, desk))}


def resend(desk: Desk) -> None:
    """Send lost work again; if that fails, log it and leave it to the sweep."""
    _counted("sent_again", partial(send_again, desk))


def _counted(name: str, part: Callable[[], int]) -> int | None:
    try:
        return part()
    except Exception:
        # The other parts have nothing to do with it.
        logger.exception("a part of the sweep failed", part=name)
        return None


def _delete(desk: Desk, part: Callable[[Connection], int]) -> int:
    with open_scope(desk.background) as connection:
        return part(connection)


def send_again(desk: Desk) -> int:
    """Send what is due, a batch at a time; what is taken and not sent is due again a quarter of an hour later."""
    count = 0
    while entries := _take(desk):
        for entry in entries:
            _send_or_give_up(desk, entry)
        count += len(entries)
    return count


def _send_or_give_up(desk: Desk, entry: outbox.Entry) -> None:
    if entry.topic != "export" or entry.attempts <= MOST_ATTEMPTS:
        queue = desk.memory_queue if entry.topic in follow_up.TOPICS else desk.queue
        return queue.send(Work.of(entry))
    try:
        export.give_up(desk, entry)
    except NotFound as gone:
        logger.info("work came too late", entry_id=str(entry.id), reason=str(gone))


def _take(desk: Desk) -> list[outbox.Entry]:
    with open_scope(desk.background) as connection:
        return outbox.take_due(connection, limit=_AT_ONCE)
