"""The deadline by which an invocation must begin to wrap up, and retries that respect it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
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
