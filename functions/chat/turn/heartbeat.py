"""What a turn does by the clock: log events, refresh its heartbeat, notice a stop request, keep its deadline, and ping.

The watchdog message and the follow-up jobs are sent in threads of their own.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlalchemy import Engine

from functions.chat.errors import OutOfTime
from functions.chat.turn.events import NumberedEvent, Ping
from functions.chat.turn.replay import PING_S
from functions.chat.turn.state import StopRequested, Superseded, Turn
from parley.db.outbox import OutboxEntry
from parley.db.turn import turns
from parley.deadline import Deadline
from parley.errors import Unavailable
from parley.jobs import CheckTurn, MemoryQueue, UpkeepQueue
from parley.observability import logger

# An answer that is faster needs no watching, and should not wait for a queue.
WATCH_AFTER_S = 0.1


FIRST_CHECK_S = 31


class Watchdog:
    """Sends the message in a thread of its own, once the turn has lasted."""

    def __init__(self, queue: UpkeepQueue, *, user_id: UUID, turn_id: UUID) -> None:
        self._queue, self._watch = queue, CheckTurn(user_id, turn_id)
        self._due_s = time.monotonic() + WATCH_AFTER_S
        self._thread: threading.Thread | None = None

    def send_if_due(self) -> None:
        """Send the message if it is time and has not been done."""
        if self._thread is None and time.monotonic() >= self._due_s:
            self._thread = threading.Thread(target=self._queue.send_later, args=(self._watch,), kwargs={"delay_s": FIRST_CHECK_S})
            self._thread.start()

    def close(self) -> None:
        """Wait until what was begun is done: a frozen worker sends nothing."""
        if self._thread:
            self._thread.join()


class FollowUpSender:
    """Sends entries in a thread of its own. What cannot be sent is logged, and found by the sweep."""

    def __init__(self, queue: MemoryQueue) -> None:
        self._queue = queue
        self._thread: threading.Thread | None = None

    def send(self, entries: Sequence[OutboxEntry]) -> None:
        """Begin to send what a committed transaction has noted."""
        if entries:
            self._thread = threading.Thread(target=self._send, args=(entries,))
            self._thread.start()

    def close(self) -> None:
        """Wait until all is sent or given up: a frozen worker sends nothing."""
        if self._thread:
            self._thread.join()

    def _send(self, entries: Sequence[OutboxEntry]) -> None:
        for entry in entries:
            self._queue.send_entry(entry)


TICK_S = 0.5


_RETRY_S = 2.0


class Heartbeat:
    """Keeps the times of one turn; a turn that is shorter than `TICK_S` pays for none of it."""

    def __init__(self, engine: Engine, turn: Turn, watchdog: Watchdog, deadline: Deadline) -> None:
        self._engine, self._turn, self._watchdog, self.deadline = engine, turn, watchdog, deadline
        self._sent_s = time.monotonic()
        self._due_s = self._sent_s + TICK_S

    def mark_sent(self, event: NumberedEvent) -> NumberedEvent:
        """Note that the client hears something."""
        self._sent_s = time.monotonic()
        return event

    def beat(self) -> Iterator[Ping]:
        """Do all that is due; to be called ten times a second. Raises Stopped, Superseded and OutOfTime."""
        self._watchdog.send_if_due()
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
        entries = self._turn.event_buffer.pending()
        try:
            found = turns.record_heartbeat(self._engine, self._turn.id, user_id=self._turn.user_id, entries=entries)
        except Unavailable:
            logger.exception("a turn cannot be logged", turn_id=str(self._turn.id))
            self._due_s = time.monotonic() + _RETRY_S
            return
        self._due_s = time.monotonic() + TICK_S
        if not found.is_running:
            raise Superseded(f"turn {self._turn.id}")
        self._turn.event_buffer.mark_logged(entries)
        if found.is_stop_requested:
            raise StopRequested(f"turn {self._turn.id}")
