"""The periodic work of a turn: log events, refresh the heartbeat, notice stop requests, enforce the deadline, and ping the client.

The watchdog message is sent in a separate thread, so that no answer waits for a queue.
"""

import threading
import time
from collections.abc import Iterator
from functools import partial
from uuid import UUID

from functions.chat.errors import OutOfTime
from functions.chat.turn.events import NumberedEvent, Ping
from functions.chat.turn.state import AccessEnded, StopRequested, Superseded, Turn
from parley.db.engine import Engine
from parley.db.turn import turns
from parley.deadline import Deadline
from parley.errors import Unavailable
from parley.jobs import CheckTurn, UpkeepQueue
from parley.observability import logger

# The longest silence on a stream, because proxies close idle connections.
PING_S = 10.0
# How often a turn logs its events, refreshes its heartbeat and looks for a stop request.
TICK_S = 0.5
# How long the tool loop waits for the next event of a model or tool.
POLL_S = 0.1
# How often a replay reads the log of a running turn.
REPLAY_POLL_S = 0.25

# A turn that ends earlier needs no watchdog, which saves the cost of the message and of its check. The turn of a worker that dies
# earlier is found by the next batch of the upkeep function, by its schedule, and by the next reader or question.
WATCH_AFTER_S = 1.0
FIRST_CHECK_S = 31
# The pause before the next attempt to log after the database was unavailable.
_RETRY_S = 2.0


class Watchdog:
    """Asks the upkeep function to check on the turn, once the turn has lasted `WATCH_AFTER_S`."""

    def __init__(self, queue: UpkeepQueue, *, user_id: UUID, turn_id: UUID) -> None:
        self._queue = queue
        self._message = CheckTurn(user_id, turn_id)
        self._due_s = time.monotonic() + WATCH_AFTER_S
        self._thread: threading.Thread | None = None

    def send_if_due(self) -> None:
        """Send the message in a thread if it is due and was not sent before."""
        if self._thread is None and time.monotonic() >= self._due_s:
            self._thread = threading.Thread(target=partial(self._queue.send_later, self._message, delay_s=FIRST_CHECK_S))
            self._thread.start()

    def close(self) -> None:
        """Wait until the message is sent, because Lambda freezes a worker that has responded."""
        if self._thread:
            self._thread.join()


class Heartbeat:
    """Does the periodic work of one turn. A turn shorter than `TICK_S` runs no statement for this, except by `tick_now`."""

    def __init__(self, engine: Engine, turn: Turn, watchdog: Watchdog, deadline: Deadline) -> None:
        self._engine, self._turn, self._watchdog, self.deadline = engine, turn, watchdog, deadline
        self._sent_s = time.monotonic()
        self._due_s = self._sent_s + TICK_S

    def mark_sent(self, event: NumberedEvent) -> NumberedEvent:
        """Postpone the next ping, because `event` is sent to the client, and return the event."""
        self._sent_s = time.monotonic()
        return event

    def beat(self) -> Iterator[Ping]:
        """Do everything that is due. Call it about ten times a second.

        Raises StopRequested, Superseded and OutOfTime.
        """
        self._watchdog.send_if_due()
        self.tick()
        if self.deadline.left_s <= 0:
            raise OutOfTime(f"turn {self._turn.id}")
        if ping := self.ping():
            yield ping

    def tick_now(self) -> None:
        """Do the tick now: before an action that cannot be undone, and before a round that must have the newest messages.

        Raises the errors of `tick`.
        """
        self._due_s = 0.0
        self.tick()

    def ping(self) -> Ping | None:
        """Return a ping if nothing was sent to the client for `PING_S`."""
        if time.monotonic() - self._sent_s < PING_S:
            return None
        self._sent_s = time.monotonic()
        return Ping()

    def tick(self) -> None:
        """If a tick is due, log the new events and refresh the heartbeat in one statement.

        Raises StopRequested, AccessEnded after a logout or the key's revocation, and Superseded if another process has ended the
        turn. While the database is unavailable, the turn continues and its events wait for the next tick.
        """
        if time.monotonic() < self._due_s:
            return
        entries = self._turn.event_buffer.pending()
        try:
            state = turns.record_heartbeat(
                self._engine, self._turn.id, user_id=self._turn.user_id, entries=entries, principal=self._turn.principal
            )
        except Unavailable:
            logger.exception("turn_logging_failed", turn_id=str(self._turn.id))
            self._due_s = time.monotonic() + _RETRY_S
            return
        self._due_s = time.monotonic() + TICK_S
        if not state.is_running:
            raise Superseded(f"turn {self._turn.id}")
        self._turn.event_buffer.mark_logged(entries)
        self._turn.steering_messages = state.steering_messages
        if state.is_access_ended:
            raise AccessEnded(f"turn {self._turn.id}")
        if state.is_stop_requested:
            raise StopRequested(f"turn {self._turn.id}")
