"""The connection of one call, which any thread may cut."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self

from parley.llm.types import Event

CONNECT_TIMEOUT_S = 5.0  # the one wait that cannot be cut


class Line:
    """Knows how to break the connection that its call waits on.

    A vendor's module hands it over with `use` once there is one, and takes it back with `release` before the
    connection may serve another call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._break: Callable[[], None] | None = None
        self.is_cut = False
        self.is_answered = False  # by anything but a refusal: the vendor may charge from then on

    def use(self, break_connection: Callable[[], None]) -> None:
        """Note how to break the connection; it is broken at once if the line was cut before."""
        with self._lock:
            self._break = break_connection
            if self.is_cut:
                break_connection()

    def release(self) -> None:
        """Forget the connection."""
        with self._lock:
            self._break = None

    def cut(self) -> None:
        """Break the connection, now or as soon as there is one; a thread that reads from it wakes up."""
        with self._lock:
            self.is_cut = True
            if self._break:
                self._break()


class Answer:
    """A provider's events, for one thread to read and any thread to close.

    Once closed there is no further event and no error, also for a thread that was just waiting for one.
    """

    def __init__(self, events: Iterator[Event], line: Line) -> None:
        self._events, self._line = events, line

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        if self._line.is_cut:
            raise StopIteration
        try:
            event = next(self._events)
        except Exception:
            if self._line.is_cut:
                raise StopIteration from None
            raise
        if self._line.is_cut:  # the end of a broken connection may pass for the end of the answer
            raise StopIteration
        return event

    @property
    def is_begun(self) -> bool:
        """Whether the vendor accepted the request, also where no event has come of it."""
        return self._line.is_answered

    def close(self) -> None:
        """End the vendor's connection; idempotent."""
        self._line.cut()
        close = getattr(self._events, "close", None)
        if close:
            with suppress(ValueError):  # another thread is inside: the cut wakes it, and it cleans up on its way out
                close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
