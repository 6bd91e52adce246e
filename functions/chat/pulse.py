"""What a turn does beside listening, by the clock: it logs, beats its heart, hears of a stop, heeds its deadline, and pings."""

import time
from collections.abc import Iterator

from sqlalchemy import Engine

from functions.chat.errors import OutOfTime, Stopped, Superseded
from functions.chat.events import Numbered, Ping
from functions.chat.replay import PING_S
from functions.chat.running import Turn
from functions.chat.watchdog import Watchdog
from parley.db.turn import turns
from parley.deadline import Deadline
from parley.errors import Unavailable
from parley.observability import logger

TICK_S = 0.5
_AGAIN_S = 2.0


class Pulse:
    """Keeps the times of one turn; a turn that is shorter than `TICK_S` pays for none of it."""

    def __init__(self, engine: Engine, turn: Turn, watchdog: Watchdog, deadline: Deadline) -> None:
        self._engine, self._turn, self._watchdog, self.deadline = engine, turn, watchdog, deadline
        self._sent_s = time.monotonic()
        self._due_s = self._sent_s + TICK_S

    def passed(self, event: Numbered) -> Numbered:
        """Note that the client hears something."""
        self._sent_s = time.monotonic()
        return event

    def beat(self) -> Iterator[Ping]:
        """Do all that is due; to be called ten times a second. Raises Stopped, Superseded and OutOfTime."""
        self._watchdog.tend()
        self.tick()
        if self.deadline.left_s <= 0:
            raise OutOfTime(f"turn {self._turn.id}")
        if ping := self.ping():
            yield ping

    def tick_now(self) -> None:
        """Log what came before something is done that cannot be undone."""
        self._due_s = 0.0
        self.tick()

    def ping(self) -> Ping | None:
        """Return a ping if the client has heard nothing for long."""
        if time.monotonic() - self._sent_s < PING_S:
            return None
        self._sent_s = time.monotonic()
        return Ping()

    def tick(self) -> None:
        """Log what came, if it is time. Raises Stopped, and Superseded where the turn is ours no more.

        A database that is away for a while does not end a turn: the entries wait for the next time.
        """
        if time.monotonic() < self._due_s:
            return
        entries = self._turn.journal.pending()
        try:
            found = turns.record_heartbeat(self._engine, self._turn.id, user_id=self._turn.user_id, entries=entries)
        except Unavailable:
            logger.exception("a turn cannot be logged", turn_id=str(self._turn.id))
            self._due_s = time.monotonic() + _AGAIN_S
            return
        self._due_s = time.monotonic() + TICK_S
        if not found.is_running:
            raise Superseded(f"turn {self._turn.id}")
        self._turn.journal.logged(entries)
        if found.is_to_stop:
            raise Stopped(f"turn {self._turn.id}")
