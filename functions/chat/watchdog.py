"""Has a turn watched: the queue gets a delayed message that looks after it when this function cannot."""

import threading
import time
from uuid import UUID

from parley.jobs import CheckTurn, UpkeepQueue

# An answer that is faster needs no watching, and should not wait for a queue.
AFTER_S = 0.1
FIRST_LOOK_S = 31


class Watchdog:
    """Sends the message in a thread of its own, once the turn has lasted."""

    def __init__(self, queue: UpkeepQueue, *, user_id: UUID, turn_id: UUID) -> None:
        self._queue, self._watch = queue, CheckTurn(user_id, turn_id)
        self._due_s = time.monotonic() + AFTER_S
        self._thread: threading.Thread | None = None

    def tend(self) -> None:
        """Send the message if it is time and has not been done."""
        if self._thread is None and time.monotonic() >= self._due_s:
            self._thread = threading.Thread(target=self._queue.send_later, args=(self._watch,), kwargs={"delay_s": FIRST_LOOK_S})
            self._thread.start()

    def close(self) -> None:
        """Wait until what was begun is done: a frozen worker sends nothing."""
        if self._thread:
            self._thread.join()
