"""What a turn does beside listening, by the clock: it logs, beats its heart, hears of a stop, and pings."""

import time

from sqlalchemy import Engine

from functions.chat.errors import Stopped, Superseded
from functions.chat.events import Numbered, Ping
from functions.chat.replay import PING_S
from functions.chat.running import Turn
from parley.db import turns
from parley.errors import Unavailable
from parley.observability import logger

TICK_S = 0.5
_AGAIN_S = 2.0


class Pulse:
    """Keeps the times of one turn; a turn that is shorter than `TICK_S` pays for none of it."""

    def __init__(self, engine: Engine, turn: Turn) -> None:
        self._engine, self._turn = engine, turn
        self._sent_s = time.monotonic()
        self._due_s = self._sent_s + TICK_S

    def passed(self, event: Numbered) -> Numbered:
        """Note that the client hears something."""
        self._sent_s = time.monotonic()
        return event

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
            found = turns.tick(self._engine, self._turn.id, user_id=self._turn.user_id, entries=entries)
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
