"""The time by which an invocation must start to finish."""

import time
from dataclasses import dataclass
from typing import Any, Self

# Reserved for finishing: the last statements, and retries while the database is briefly unavailable.
GRACE_S = 5.0


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
