"""Caches the key ring for ten seconds, so that a warm process soon stops using a removed key."""

import time
from collections.abc import Callable

from parley.auth.signing_keys import KeyRing
from parley.errors import Unavailable
from parley.observability import logger
from parley.snapshots import before_snapshot

MAX_AGE_S = 10


class KeyCache:
    """Returns a key ring at most ten seconds old or, while the key store is unavailable, the last ring loaded."""

    def __init__(self, load: Callable[[], KeyRing], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._clock = clock
        self._key_ring: KeyRing | None = None
        self._loaded_at = 0.0
        before_snapshot(self.clear)

    def clear(self) -> None:
        """Forget the ring: a key of a snapshot may have been removed long ago."""
        self._key_ring = None

    def __call__(self) -> KeyRing:
        """Return the key ring. Raises Unavailable if the store is unavailable and no ring has been loaded yet."""
        if self._key_ring is None or self._clock() - self._loaded_at >= MAX_AGE_S:
            self._key_ring = self._reload()
            self._loaded_at = self._clock()
        return self._key_ring

    def _reload(self) -> KeyRing:
        try:
            return self._load()
        except Unavailable as exc:
            if self._key_ring is None:
                raise
            logger.warning("signing_keys_reload_failed", reason=str(exc))
            return self._key_ring
