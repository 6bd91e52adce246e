"""The deadline of a whole request, across all of its waits."""

import time

from parley.tools.guarded_http.errors import FetchFailed


class FetchDeadline:
    """The time at which a request must end. Each wait is limited to the time left, so a slow server cannot prolong the request."""

    def __init__(self, total_s: float) -> None:
        self._total_s = total_s
        self._ends_s = time.monotonic() + total_s

    def left_s(self, wanted_s: float | None = None) -> float:
        """Return the seconds left, at most `wanted_s`. Raises FetchFailed if no time is left."""
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise FetchFailed(f"The response took longer than {self._total_s:g} seconds.")
        return left_s if wanted_s is None else min(left_s, wanted_s)
