"""Throttling: a token bucket for each method of each route."""

import time
from collections.abc import Callable

from local.template.stack import Route, Throttle


class _Bucket:
    def __init__(self, limit: Throttle, now: float) -> None:
        self._limit = limit
        self._tokens = float(limit.burst)
        self._at = now

    def take(self, now: float) -> bool:
        refilled = self._tokens + (now - self._at) * self._limit.rate
        self._tokens, self._at = min(float(self._limit.burst), refilled), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Throttling:
    """Counts the requests of each route against its limit, unless it `is_off`: for load tests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, is_off: bool = False) -> None:
        self._clock, self._is_off = clock, is_off
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def allows(self, route: Route) -> bool:
        """Take a token of the route's bucket; False when it is empty."""
        if route.throttle is None or self._is_off:
            return True
        now = self._clock()
        key = (route.method, route.path)
        bucket = self._buckets.setdefault(key, _Bucket(route.throttle, now))
        return bucket.take(now)
