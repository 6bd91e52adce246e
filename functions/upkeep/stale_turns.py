"""Ends turns that must not stay open: turns without a heartbeat, and turns that waited a day for an approval.

Every long turn queues a delayed message to check it. If a function dies before it sends that message, the next batch of
messages, the recovery schedule or the sweep ends the turn.
"""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from functions.upkeep.services import UpkeepServices
from parley.db.engine import Engine
from parley.db.transactions import global_scope, user_scope
from parley.db.turn import turn_checkpoint, turns
from parley.errors import NotFound
from parley.jobs import CheckTurn
from parley.observability import logger
from parley.turn_recovery import end_waiting_turn, interrupt_if_stale

_BATCH = 100


def check_turn(services: UpkeepServices, job: CheckTurn) -> None:
    """Interrupt a turn whose heartbeat stopped. If the turn is alive, queue another check for when it could be stale.

    Raises NotFound if the turn was deleted.
    """
    with user_scope(services.engine, job.user_id) as connection:
        age_s = turns.heartbeat_age_s(connection, job.turn_id, user_id=job.user_id)
    if age_s is None:
        return
    if age_s <= turns.STALE_AFTER_S:
        services.queue.send(job, delay_s=turns.STALE_AFTER_S - age_s + 1)
    else:
        interrupt_if_stale(services.engine, job.turn_id, user_id=job.user_id)


def end_stale_turns(services: UpkeepServices) -> int:
    """Interrupt all turns whose heartbeat stopped, and return their number. If one cannot be ended, the others still are."""
    return _end_all(partial(_find_stale, services.background), partial(interrupt_if_stale, services.engine))


def end_expired_turns(services: UpkeepServices) -> int:
    """End all turns that have waited a day for an approval, and return their number. If one cannot be ended, the others still are."""
    return _end_all(partial(_find_expired, services.background), partial(end_waiting_turn, services.engine, reason="approval_expired"))


def _end_all(find: Callable[[Sequence[UUID]], list[tuple[UUID, UUID]]], end: Callable[..., bool]) -> int:
    """End all turns that `find` returns, and return their number. `find` gets the turns that it must leave out."""
    count = 0
    failed: list[UUID] = []
    while batch := find(failed):
        for user_id, turn_id in batch:
            try:
                count += end(turn_id, user_id=user_id)
            except NotFound:
                pass  # deleted meanwhile
            except Exception:
                # Continue with the other turns, which do not depend on this one. The next run tries it again.
                logger.exception("turn_not_ended", turn_id=str(turn_id))
                failed.append(turn_id)
        if len(batch) < _BATCH:
            break
    return count


def _find_stale(background: Engine, without: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    with global_scope(background) as connection:
        return turns.find_stale(connection, limit=_BATCH, without=without)


def _find_expired(background: Engine, without: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    with global_scope(background) as connection:
        return turn_checkpoint.find_expired(connection, limit=_BATCH, without=without)
