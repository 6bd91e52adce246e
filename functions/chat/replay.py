"""A turn's events from its log: of one that has ended, or of one that another worker is taking."""

import time
from collections.abc import Generator
from uuid import UUID

from sqlalchemy import Engine

from functions.chat.events import Logged, Numbered, Ping
from parley.db import messages
from parley.db.transactions import user_scope
from parley.db.turn import turns
from parley.db.turn.turns import TurnProgress
from parley.deadline import Deadline
from parley.errors import NotFound
from parley.turn_recovery import interrupt_if_stale

POLL_S = 0.25
PING_S = 10.0


def follow(engine: Engine, turn_id: UUID, *, user_id: UUID, after: int, deadline: Deadline) -> Generator[Numbered | Ping]:
    """Yield the events behind `after` as the log gets them, to the one that ends the turn, which always comes.

    A turn that waits for an approval ends it, too, with `turn.waiting`. Nothing is open in the database while it waits.
    Where the time is up first, the stream ends and can be asked for again. Raises NotFound and Unavailable.
    """
    pinged_s = None
    while True:
        progress = turns.progress(engine, turn_id, user_id=user_id, after=after)
        for entry in progress.entries[:-1] if progress.status != "running" else progress.entries:
            yield Numbered(entry.number, Logged(entry.name, entry.document(after=after)))
            after, pinged_s = entry.number, time.monotonic()
        if progress.status != "running":
            if last := _last(engine, turn_id, user_id=user_id, progress=progress):
                yield last
                return
            continue
        if progress.is_stale:
            interrupt_if_stale(engine, turn_id, user_id=user_id)
            continue
        if deadline.left_s <= 0:
            return
        if pinged_s is None or time.monotonic() - pinged_s >= PING_S:
            yield Ping()
            pinged_s = time.monotonic()
        time.sleep(POLL_S)


def stored_end(engine: Engine, turn_id: UUID, *, user_id: UUID) -> Numbered:
    """Return the terminal event of a turn that has ended, with the answer it tells of. Raises NotFound and Unavailable."""
    progress = turns.progress(engine, turn_id, user_id=user_id, after=0)
    if not (last := _last(engine, turn_id, user_id=user_id, progress=progress)):
        raise NotFound("log of this turn", turn_id)
    return last


def _last(engine: Engine, turn_id: UUID, *, user_id: UUID, progress: TurnProgress) -> Numbered | None:
    """Return the last event of a turn that does not run; None if it runs, as one does that waited a moment ago. Raises NotFound."""
    if not progress.entries:
        progress = turns.progress(engine, turn_id, user_id=user_id, after=0)
    if progress.status == "running":
        return None
    if not progress.entries:
        raise NotFound("log of this turn", turn_id)
    last, answer = progress.entries[-1], None
    if progress.message_id:
        with user_scope(engine, user_id) as connection:
            answer = messages.get(connection, progress.message_id, user_id=user_id)
    return Numbered(last.number, Logged(last.name, last.data, answer))
