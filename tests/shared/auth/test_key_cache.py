from types import SimpleNamespace

import pytest

from parley.auth.key_cache import FRESH_S, KeyCache
from parley.errors import Unavailable
from tests.forging import RING


class Store:
    """A key store that counts how often it is read, and can be away."""

    def __init__(self):
        self.reads, self.ring = 0, RING

    def load(self):
        self.reads += 1
        if self.ring is None:
            raise Unavailable("key store")
        return self.ring


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def clock():
    """Seconds that a test moves on."""
    return SimpleNamespace(now=1000.0)


@pytest.fixture
def keys(store, clock):
    return KeyCache(store.load, clock=lambda: clock.now)


def test_keys_are_read_once_in_ten_seconds(keys, store, clock):
    for step in range(100):
        clock.now = 1000.0 + step * 0.25
        keys()

    assert (FRESH_S, store.reads) == (10, 3)


def test_the_last_good_keys_are_kept_while_the_store_is_away(keys, store, clock):
    keys()
    store.ring = None
    clock.now += FRESH_S

    assert [keys() for _ in range(5)] == [RING] * 5
    assert store.reads == 2


def test_without_any_keys_nobody_gets_in_until_there_are(keys, store):
    store.ring = None
    with pytest.raises(Unavailable):
        keys()
    store.ring = RING

    assert keys() is RING
