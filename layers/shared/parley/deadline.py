"""The deadline by which an invocation must begin to wrap up, retries that respect it, and alarms for single calls."""

import heapq
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Self

from parley.errors import Unavailable

# Reserved for finishing: the last statements, and retries while the database is briefly unavailable.
GRACE_S = 5.0
# Waiting for a restarting database is better than losing work that is done and paid for.
RETRY_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 2.0)


@dataclass(frozen=True, slots=True)
class Deadline:
    """A time on this worker's monotonic clock, `GRACE_S` before Lambda ends the invocation."""

    at_s: float

    @classmethod
    def of(cls, context: Any) -> Self:
        """Return the deadline of the invocation with this Lambda context."""
        return cls.after(context.get_remaining_time_in_millis() / 1000 - GRACE_S)

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return a deadline `seconds` from now."""
        return cls(time.monotonic() + seconds)

    @property
    def left_s(self) -> float:
        """The seconds left; zero or negative once the deadline has passed."""
        return self.at_s - time.monotonic()


def retry_while_unavailable[T](step: Callable[[], T], deadline: Deadline) -> T:
    """Retry an idempotent step while the database is briefly unavailable.

    Retries may use the deadline's grace period except for its last second. Raises Unavailable if they all fail or the time runs out.
    """
    for pause_s in RETRY_PAUSES_S:
        try:
            return step()
        except Unavailable:
            if deadline.left_s + GRACE_S < pause_s + 1:
                raise
            time.sleep(pause_s)
    return step()


class Alarm:
    """A function that an alarm clock calls at a time, unless it is cancelled before."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self.ring: Callable[[], None] | None = ring

    def cancel(self) -> None:
        """Forget the function. An alarm that rings at this moment may still ring."""
        self.ring = None


class AlarmClock:
    """Calls functions at given times, all in one daemon thread, which starts with the first alarm.

    Nearly all alarms are cancelled. A `threading.Timer` for each would start and end a thread; here, setting an alarm wakes the thread
    only if no earlier alarm, even a cancelled one, is going to wake it anyway. A function must not block, since it delays the others.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._numbers = count()
        self._wakes_s = float("inf")
        self._thread: threading.Thread | None = None

    def set(self, seconds: float, ring: Callable[[], None]) -> Alarm:
        """Call `ring` after `seconds`."""
        alarm, due_s = Alarm(ring), time.monotonic() + max(seconds, 0.0)
        with self._changed:
            heapq.heappush(self._alarms, (due_s, next(self._numbers), alarm))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="alarm-clock", daemon=True)
                self._thread.start()
            elif due_s < self._wakes_s:
                self._changed.notify()
        return alarm

    def _run(self) -> None:
        while True:
            for ring in self._wait_for_due():
                ring()

    def _wait_for_due(self) -> list[Callable[[], None]]:
        with self._changed:
            self._wakes_s = self._alarms[0][0] if self._alarms else float("inf")
            self._changed.wait(min(self._wakes_s - time.monotonic(), threading.TIMEOUT_MAX))
            due: list[Callable[[], None]] = []
            while self._alarms and (self._alarms[0][2].ring is None or self._alarms[0][0] <= time.monotonic()):
                if ring := heapq.heappop(self._alarms)[2].ring:
                    due.append(ring)
            return due
