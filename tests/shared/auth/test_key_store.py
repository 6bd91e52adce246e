import secrets

import pytest

from parley.auth.key_store import ensure_keys, load_keys
from parley.auth.signing_keys import KeyRing, SigningKey
from parley.clock import utc_now
from parley.errors import Unavailable


@pytest.fixture
def path(aws):
    return f"/parley/{secrets.token_hex(4)}/keys"


def test_keys_that_nobody_has_made_are_unavailable(path):
    with pytest.raises(Unavailable):
        load_keys(path)


def test_made_keys_can_be_loaded(path):
    made = ensure_keys(path)
    ring = load_keys(path)

    assert (len(made), len(ring.keys), len(ring.refresh_secret)) == (2, 1, 32)


def test_making_keys_twice_keeps_the_first(path):
    ensure_keys(path)
    before = load_keys(path)

    assert ensure_keys(path) == []
    assert load_keys(path).newest.kid == before.newest.kid


def test_the_private_half_is_never_published(path):
    ensure_keys(path)
    (jwk,) = load_keys(path).jwks()["keys"]

    assert set(jwk) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


def test_the_newest_key_signs():
    old, new = SigningKey.generate(now=utc_now()), SigningKey.generate(now=utc_now())

    assert KeyRing.of([old, new], refresh_secret=b"").newest is new


def test_a_ring_without_keys_is_refused():
    with pytest.raises(ValueError, match="needs a key"):
        KeyRing.of([], refresh_secret=b"")
