"""The end of a request, however it spends its time."""

import time

from parley.tools.guarded_http.errors import FetchFailed


class FetchDeadline:
    """A point in time; each wait gets what is left until then, so that none can be drawn out by drips."""

    def __init__(self, total_s: float) -> None:
        self._total_s = total_s
        self._ends_s = time.monotonic() + total_s

    def left_s(self, wanted_s: float | None = None) -> float:
        """Return how long one wait may take, `wanted_s` at most. Raises FetchFailed once there is no time left."""
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise FetchFailed(f"The answer took longer than {self._total_s:g} seconds.")
        return left_s if wanted_s is None else min(left_s, wanted_s)
