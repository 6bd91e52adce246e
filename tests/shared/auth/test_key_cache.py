from types import SimpleNamespace

import pytest

from parley.auth.key_cache import MAX_AGE_S, KeyCache
from parley.errors import Unavailable
from tests.support.tokens import KEY_RING


class Store:
    """A key store that counts its reads and can be unavailable."""

    def __init__(self):
        self.reads, self.key_ring = 0, KEY_RING

    def load(self):
        self.reads += 1
        if self.key_ring is None:
            raise Unavailable("key store")
        return self.key_ring


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def clock():
    """A clock that tests advance by hand, in seconds."""
    return SimpleNamespace(now=1000.0)


@pytest.fixture
def keys(store, clock):
    return KeyCache(store.load, clock=lambda: clock.now)


def test_keys_are_read_once_in_ten_seconds(keys, store, clock):
    for step in range(100):
        clock.now = 1000.0 + step * 0.25
        keys()

    assert (MAX_AGE_S, store.reads) == (10, 3)


def test_the_last_good_keys_are_kept_while_the_store_is_away(keys, store, clock):
    keys()
    store.key_ring = None
    clock.now += MAX_AGE_S

    assert [keys() for _ in range(5)] == [KEY_RING] * 5
    assert store.reads == 2


def test_without_keys_the_cache_is_unavailable_until_they_can_be_loaded(keys, store):
    store.key_ring = None
    with pytest.raises(Unavailable):
        keys()
    store.key_ring = KEY_RING

    assert keys() is KEY_RING
