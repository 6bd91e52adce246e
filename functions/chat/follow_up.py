"""Sends what the end of a turn has noted, beside the client's last event: nobody waits for a queue."""

import threading
from collections.abc import Sequence

from parley.db.outbox import OutboxEntry
from parley.jobs import MemoryQueue


class FollowUp:
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
