"""Read a provider's events in a separate thread.

A vendor's SDK blocks until its next event. The turn waits with a timeout instead, so that it can ping, log and stop meanwhile.
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
    """A stream of events. `close` may be called from another thread, and ends a blocked read."""

    def __iter__(self) -> Iterator[E]: ...

    def close(self) -> None: ...


class StreamEnded(Exception):
    """The stream has no more events."""


class StreamReader[E]:
    """Reads `source` to its end in a daemon thread, at most `_QUEUE_SIZE` events ahead of the caller."""

    def __init__(self, source: ClosableStream[E]) -> None:
        self._source = source
        self._queue: Queue[E | BaseException] = Queue(_QUEUE_SIZE)
        self._thread = threading.Thread(target=self._read, name="provider-stream", daemon=True)
        self._thread.start()

    def next(self, *, timeout_s: float) -> E | None:
        """Return the next event, or None if none arrives in time. Raises StreamEnded, or the source's own error."""
        try:
            event = self._queue.get(timeout=timeout_s)
        except Empty:
            return None
        if isinstance(event, BaseException):
            raise event
        return event

    def close(self, *, timeout_s: float = 1.0) -> None:
        """Close the source and wait at most `timeout_s` for the thread. May be called more than once."""
        self._queue.shutdown(immediate=True)
        with suppress(ValueError):  # a plain generator cannot be closed while it runs
            self._source.close()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.warning("provider_stream_not_closed")

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
