"""Ends turns that must not stay open: those whose heartbeat stopped, and those that waited too long for an approval.

A delayed message checks each long turn; the sweep finds the turns that no message checked.
"""

from uuid import UUID

from functions.upkeep.services import UpkeepServices
from parley.db.transactions import global_scope, user_scope
from parley.db.turn import turn_checkpoint, turns
from parley.jobs import CheckTurn
from parley.turn_recovery import end_waiting_turn, interrupt_if_stale

_BATCH = 100


def check_turn(services: UpkeepServices, message: CheckTurn) -> None:
    """End a turn whose heart has stopped; come back when a heart that beats could have. Raises NotFound if it is gone."""
    with user_scope(services.engine, message.user_id) as connection:
        age_s = turns.heartbeat_age_s(connection, message.turn_id, user_id=message.user_id)
    if age_s is None:
        return
    if age_s <= turns.STALE_AFTER_S:
        services.queue.send(message, delay_s=turns.STALE_AFTER_S - age_s + 1)
    else:
        interrupt_if_stale(services.engine, message.turn_id, user_id=message.user_id)


def end_stale_turns(services: UpkeepServices) -> int:
    """End every turn whose heart has stopped; return how many."""
    count = 0
    while found := _stale(services):
        count += sum(interrupt_if_stale(services.engine, turn_id, user_id=user_id) for user_id, turn_id in found)
        if len(found) < _BATCH:
            break
    return count


def end_expired_turns(services: UpkeepServices) -> int:
    """End every turn that has waited for an approval for a day; return how many."""
    count = 0
    while found := _expired(services):
        count += sum(end_waiting_turn(services.engine, turn_id, user_id=user_id, reason="approval_expired") for user_id, turn_id in found)
        if len(found) < _BATCH:
            break
    return count


def _expired(services: UpkeepServices) -> list[tuple[UUID, UUID]]:
    with global_scope(services.background) as connection:
        return turn_checkpoint.find_expired(connection, limit=_BATCH)


def _stale(services: UpkeepServices) -> list[tuple[UUID, UUID]]:
    with global_scope(services.background) as connection:
        return turns.find_stale(connection, limit=_BATCH)
