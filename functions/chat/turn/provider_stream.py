"""Read a provider's events in a thread of their own.

A vendor's SDK blocks until it has an event. The caller waits with a timeout instead, so that it can ping, tick and stop.
"""

import threading
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, Queue, ShutDown
from types import TracebackType
from typing import Protocol, Self

from parley.observability import logger

_QUEUE_SIZE = 256


class ClosableStream[E](Protocol):
    """Events as they come. `close` may be called by another thread than the one that reads, and wakes a read that blocks."""

    def __iter__(self) -> Iterator[E]: ...

    def close(self) -> None: ...


class StreamEnded(Exception):
    """There is no further event."""


class StreamReader[E]:
    """Reads `source` to its end, `_ROOM` events ahead at most."""

    def __init__(self, source: ClosableStream[E]) -> None:
        self._source = source
        self._queue: Queue[E | BaseException] = Queue(_QUEUE_SIZE)
        self._thread = threading.Thread(target=self._read, name="listener", daemon=True)
        self._thread.start()

    def next(self, *, timeout_s: float) -> E | None:
        """Return the next event, or None if none came in time. Raises Ended, or what the source raised."""
        try:
            found = self._queue.get(timeout=timeout_s)
        except Empty:
            return None
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self, *, timeout_s: float = 1.0) -> None:
        """End the source and wait for the thread, but not for ever; once more does no harm."""
        self._queue.shutdown(immediate=True)
        with suppress(ValueError):  # a plain generator cannot be closed while it runs
            self._source.close()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.warning("a provider does not let go")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _read(self) -> None:
        with suppress(ShutDown):
            try:
                for event in self._source:
                    self._queue.put(event)
            except ShutDown:
                raise
            except BaseException as exc:
                self._queue.put(exc)
            else:
                self._queue.put(StreamEnded())
