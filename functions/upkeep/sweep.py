"""The sweep: rows that have expired go, turns without a function end, and work that was lost on the way is sent again."""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection

from functions.upkeep import export, watchdog
from functions.upkeep.desk import Desk
from parley.db import (
    budgets,
    codes,
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
from parley.observability import logger
from parley.upkeep import Work

# An erasure is tried for ever; who waits for an export is told in the end.
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
    "turn_keys": turn_beginnings.forget_keys,
    "turn_events": turn_events.sweep,
}


def sweep(desk: Desk) -> dict[str, int | None]:
    """Do every part and return how many rows each deleted, ended or sent again; None for a part that failed."""
    done = {name: _counted(name, partial(_delete, desk, part)) for name, part in _EXPIRED.items()}
    done["interrupted"] = _counted("interrupted", partial(watchdog.end_silent_turns, desk))
    return done | {"sent_again": _counted("sent_again", partial(_send_again, desk))}


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


def _send_again(desk: Desk) -> int:
    """Send what is due, a batch at a time; what is taken and not sent is due again at a later sweep."""
    count = 0
    while entries := _take(desk):
        for entry in entries:
            if entry.topic == "export" and entry.attempts > MOST_ATTEMPTS:
                export.give_up(desk, entry)
            else:
                desk.queue.send(Work.of(entry))
        count += len(entries)
    return count


def _take(desk: Desk) -> list[outbox.Entry]:
    with open_scope(desk.background) as connection:
        return outbox.take_due(connection, limit=_AT_ONCE)
