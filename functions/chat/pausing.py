"""The pause of a turn: what was spent is paid, and what it needs to go on is kept."""

from functools import partial

from functions.chat.desk import Desk
from functions.chat.ending import end, patiently
from functions.chat.errors import Stopped, Waits
from functions.chat.events import Numbered, TurnWaiting
from functions.chat.running import Turn
from parley.db.transactions import user_scope
from parley.db.turn import turn_checkpoint
from parley.db.turn.approvals import Approval
from parley.deadline import Deadline
from parley.metering import limits


class _GoesOn(Exception):
    """The turn is not to pause: what was paid for it now is undone, and left to who ends it."""


def pause(services: Desk, turn: Turn, waits: Waits, *, deadline: Deadline) -> Numbered:
    """Let the turn wait for its user's word and return `TurnWaiting`; the end, if it was stopped just now.

    Raises NotFound and Unavailable.
    """
    last = turn.journal.note(TurnWaiting([call.call_id for call in waits.calls]))
    try:
        patiently(partial(_store, services, turn, waits, last), deadline)
    except _GoesOn:
        turn.journal.withdraw()
        return end(services, turn, Stopped(f"turn {turn.id}"), deadline=deadline)
    return last


def _store(services: Desk, turn: Turn, waits: Waits, last: Numbered) -> None:
    asked = [Approval(call.call_id, call.name, call.arguments) for call in waits.calls]
    with user_scope(services.engine, turn.user_id) as connection:
        limits.settle(connection, turn.billing_subject, turn.billed, reservations=turn.reservations, turn_id=turn.id)
        checkpoint, entries = turn.checkpoint(upto=last.number), turn.journal.pending()
        paused = turn_checkpoint.pause(connection, turn.id, checkpoint, asked, user_id=turn.user_id, entries=entries)
        if not paused.is_done and paused.last_event < last.number:
            raise _GoesOn
