from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from parley.auth.signing_keys import PUBLICATION_LEAD, KeyRing, SigningKey

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def aged(seconds, *, family="signing"):
    return SigningKey.generate(now=NOW - timedelta(seconds=seconds), family=family)


def key_ring(*keys):
    return KeyRing.of(keys, refresh_secret=b"", issuer="i")


@time_machine.travel(NOW, tick=False)
def test_the_newest_key_signs():
    old, new = aged(9000), aged(3000)

    assert key_ring(old, new).newest is new


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize(("age_s", "signs"), [(0, False), (119, False), (120, True), (121, True)])
def test_a_new_key_signs_only_when_it_has_been_published_long_enough(age_s, signs):
    old, new = aged(9000), aged(age_s)

    assert (key_ring(new, old).newest is new) == signs


@time_machine.travel(NOW, tick=False)
def test_a_key_without_an_older_one_signs_at_once():
    only, newer = aged(5), aged(1)

    assert key_ring(only).newest is only
    assert key_ring(newer, only).newest is only


@time_machine.travel(NOW, tick=False)
def test_a_key_from_a_clock_ahead_of_ours_waits():
    old, ahead = aged(9000), aged(-60)

    assert key_ring(old, ahead).newest is old


@time_machine.travel(NOW, tick=False)
def test_each_family_has_a_newest_key_of_its_own():
    signing, api, new_api = aged(9000), aged(9000, family="api"), aged(300, family="api")
    made = key_ring(signing, api, new_api)

    assert (made.newest, made.newest_api) == (signing, new_api)


def test_every_key_is_published_before_it_signs():
    old, new = aged(9000), aged(0)

    assert [jwk["kid"] for jwk in key_ring(old, new).jwks()["keys"]] == [new.kid, old.kid]


def test_the_publication_lead_exceeds_all_cache_times():
    from functions.authorizer.jwks import UNKNOWN_KEY_INTERVAL_S
    from parley.auth.key_cache import MAX_AGE_S

    assert timedelta(seconds=MAX_AGE_S + UNKNOWN_KEY_INTERVAL_S) < PUBLICATION_LEAD


def test_a_ring_without_a_signing_key_is_refused():
    with pytest.raises(ValueError, match="needs a signing key"):
        key_ring(aged(0, family="api"))


def test_a_key_survives_its_storage():
    key = aged(0, family="api")

    assert SigningKey.from_json(key.to_json(), family="api").public_jwk() == key.public_jwk()
