"""The moment by which a function must begin to end."""

import time
from dataclasses import dataclass
from typing import Any, Self

# What an end may take: its last statements, and a database that is away for a moment.
GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of this worker's monotonic clock, `GRACE_S` before the function is ended."""

    at_s: float

    @classmethod
    def of(cls, context: Any) -> Self:
        """Read it from what Lambda hands to the handler."""
        return cls.after(context.get_remaining_time_in_millis() / 1000 - GRACE_S)

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Set it so far from now."""
        return cls(time.monotonic() + seconds)

    @property
    def left_s(self) -> float:
        """How long until then; not more than zero when it has passed."""
        return self.at_s - time.monotonic()
