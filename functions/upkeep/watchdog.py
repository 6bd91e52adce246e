"""Turns that must not stay open: each long turn is watched by a delayed message, and the sweep finds what went unwatched or waits."""

from uuid import UUID

from functions.upkeep.desk import Desk
from parley.db import turn_pauses, turns
from parley.db.scope import open_scope, user_scope
from parley.interruption import interrupt_if_silent
from parley.upkeep import Watch
from parley.waiting import end_waiting

_AT_ONCE = 100


def watch(desk: Desk, message: Watch) -> None:
    """End a turn whose heart has stopped; come back when a heart that beats could have. Raises NotFound if it is gone."""
    with user_scope(desk.engine, message.user_id) as connection:
        age_s = turns.heartbeat_age_s(connection, message.turn_id, user_id=message.user_id)
    if age_s is None:
        return
    if age_s <= turns.SILENT_S:
        desk.queue.send(message, delay_s=turns.SILENT_S - age_s + 1)
    else:
        interrupt_if_silent(desk.engine, message.turn_id, user_id=message.user_id)


def end_silent_turns(desk: Desk) -> int:
    """End every turn whose heart has stopped; return how many."""
    count = 0
    while found := _silent(desk):
        count += sum(interrupt_if_silent(desk.engine, turn_id, user_id=user_id) for user_id, turn_id in found)
        if len(found) < _AT_ONCE:
            break
    return count


def end_expired_turns(desk: Desk) -> int:
    """End every turn that has waited for an approval for a day; return how many."""
    count = 0
    while found := _expired(desk):
        count += sum(end_waiting(desk.engine, turn_id, user_id=user_id, reason="approval_expired") for user_id, turn_id in found)
        if len(found) < _AT_ONCE:
            break
    return count


def _expired(desk: Desk) -> list[tuple[UUID, UUID]]:
    with open_scope(desk.background) as connection:
        return turn_pauses.expired(connection, limit=_AT_ONCE)


def _silent(desk: Desk) -> list[tuple[UUID, UUID]]:
    with open_scope(desk.background) as connection:
        return turns.silent(connection, limit=_AT_ONCE)
