"""Turns that must not stay open: each long turn is watched by a delayed message, and the sweep finds what went unwatched or waits."""

from uuid import UUID

from functions.upkeep.desk import Desk
from parley.db.transactions import global_scope, user_scope
from parley.db.turn import turn_checkpoint, turns
from parley.jobs import CheckTurn
from parley.turn_recovery import end_waiting_turn, interrupt_if_stale

_AT_ONCE = 100


def watch(services: Desk, message: CheckTurn) -> None:
    """End a turn whose heart has stopped; come back when a heart that beats could have. Raises NotFound if it is gone."""
    with user_scope(services.engine, message.user_id) as connection:
        age_s = turns.heartbeat_age_s(connection, message.turn_id, user_id=message.user_id)
    if age_s is None:
        return
    if age_s <= turns.STALE_AFTER_S:
        services.queue.send(message, delay_s=turns.STALE_AFTER_S - age_s + 1)
    else:
        interrupt_if_stale(services.engine, message.turn_id, user_id=message.user_id)


def end_silent_turns(services: Desk) -> int:
    """End every turn whose heart has stopped; return how many."""
    count = 0
    while found := _silent(services):
        count += sum(interrupt_if_stale(services.engine, turn_id, user_id=user_id) for user_id, turn_id in found)
        if len(found) < _AT_ONCE:
            break
    return count


def end_expired_turns(services: Desk) -> int:
    """End every turn that has waited for an approval for a day; return how many."""
    count = 0
    while found := _expired(services):
        count += sum(end_waiting_turn(services.engine, turn_id, user_id=user_id, reason="approval_expired") for user_id, turn_id in found)
        if len(found) < _AT_ONCE:
            break
    return count


def _expired(services: Desk) -> list[tuple[UUID, UUID]]:
    with global_scope(services.background) as connection:
        return turn_checkpoint.find_expired(connection, limit=_AT_ONCE)


def _silent(services: Desk) -> list[tuple[UUID, UUID]]:
    with global_scope(services.background) as connection:
        return turns.find_stale(connection, limit=_AT_ONCE)
