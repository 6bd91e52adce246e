import json
import urllib.request
from contextlib import suppress

import pytest

from functions.authorizer.jwks import FIRST_TIMEOUT_S, FRESH_S, TIMEOUT_S, UNKNOWN_KEY_INTERVAL_S, KeySource, jwks_url
from parley.errors import Unavailable
from tests.support.tokens import ACCESS_SIGNING_KEY, API_SIGNING_KEY, KEY_RING


@pytest.fixture
def source(jwks, clock):
    jwks.document, jwks.fetched = KEY_RING.jwks, 0
    return KeySource(jwks.url, clock=lambda: clock.now)


def ask(source, kid="unknown"):
    with suppress(Unavailable):
        return source.find(kid, {})


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-west-1", "https://abc.execute-api.eu-west-1.amazonaws.com/prod/.well-known/jwks.json"),
        ("cn-north-1", "https://abc.execute-api.cn-north-1.amazonaws.com.cn/prod/.well-known/jwks.json"),
    ],
)
def test_the_jwks_url_is_this_apis_own_whatever_host_the_client_names(region, url):
    assert jwks_url({"domainName": "attacker.example", "apiId": "abc", "stage": "prod"}, region=region) == url


def test_known_keys_are_fetched_once(source, jwks):
    assert {ask(source, kid).family for kid in [ACCESS_SIGNING_KEY.kid, API_SIGNING_KEY.kid] * 20} == {"signing", "api"}
    assert jwks.fetched == 1


def test_stale_keys_are_fetched_again_on_use(source, jwks, clock):
    for second in range(60):
        clock.now = 1000.0 + second
        ask(source, ACCESS_SIGNING_KEY.kid)

    assert (FRESH_S, jwks.fetched) == (20, 3)


def test_a_flood_of_unknown_keys_fetches_at_most_once_a_minute(source, jwks, clock):
    ask(source, ACCESS_SIGNING_KEY.kid)
    for tenth in range(1201):
        clock.now = 1000.0 + tenth / 10
        ask(source, f"unknown-{tenth}")

    assert (UNKNOWN_KEY_INTERVAL_S, jwks.fetched) == (60, 1 + 3)


def test_a_flood_of_unknown_keys_adds_at_most_one_fetch_a_minute_to_the_regular_ones(source, jwks, clock):
    for tenth in range(599):
        clock.now = 1000.0 + tenth / 10
        ask(source, ACCESS_SIGNING_KEY.kid)
        ask(source, f"unknown-{tenth}")

    assert jwks.fetched == 3 + 1


def test_only_a_worker_without_keys_waits_long_for_them(source, clock, monkeypatch):
    timeouts, fetch = [], urllib.request.urlopen
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, *, timeout: timeouts.append(timeout) or fetch(url))
    for second in (0, FRESH_S):
        clock.now += second
        ask(source, ACCESS_SIGNING_KEY.kid)

    assert timeouts == [FIRST_TIMEOUT_S, TIMEOUT_S]


def test_a_new_key_is_found_by_the_first_token_that_names_it(source, jwks, clock):
    jwks.document = lambda: {"keys": [ACCESS_SIGNING_KEY.public_jwk()]}
    ask(source, ACCESS_SIGNING_KEY.kid)
    jwks.document = KEY_RING.jwks
    clock.now += 1

    assert ask(source, API_SIGNING_KEY.kid).kid == API_SIGNING_KEY.kid


def test_a_removed_key_verifies_nothing_twenty_seconds_later(source, jwks, clock):
    ask(source, ACCESS_SIGNING_KEY.kid)
    jwks.document = lambda: {"keys": [API_SIGNING_KEY.public_jwk()]}
    clock.now += FRESH_S - 1
    assert ask(source, ACCESS_SIGNING_KEY.kid)
    clock.now += 1

    assert ask(source, ACCESS_SIGNING_KEY.kid) is None


def test_without_keys_a_flood_fetches_once_a_second_after_the_last_fetch_ended(source, jwks, clock):
    def slow():
        clock.now += 3

    jwks.document = slow
    for _ in range(50):
        ask(source)
        clock.now += 0.1

    assert jwks.fetched == 5


def test_keys_that_appear_are_found_a_second_later(source, jwks, clock):
    jwks.document = lambda: None
    ask(source)
    jwks.document = KEY_RING.jwks
    clock.now += 1

    assert ask(source, ACCESS_SIGNING_KEY.kid).kid == ACCESS_SIGNING_KEY.kid


def padded(octets):
    """Return this test run's key set in exactly this many bytes."""
    return json.dumps(KEY_RING.jwks()).encode().rjust(octets)


@pytest.mark.parametrize(("octets", "is_read"), [(256 * 1024, True), (256 * 1024 + 1, False)])
def test_a_key_set_has_256_kibibytes_at_most(source, jwks, octets, is_read):
    jwks.document = lambda: padded(octets)

    assert (ask(source, ACCESS_SIGNING_KEY.kid) is not None) is is_read


BAD_KEY_SETS = [
    *(None, b"<html>", b"{}", b"[]", b"null", b'{"keys": null}', b'{"keys": ["x"]}', b'{"keys": []}', b'{"keys": [{"alg": "RS256"}]}'),
    *(b'{"keys": [{"alg": "ES256", "kid": "k"}]}', b'{"keys": [{"alg": "ES256", "kid": "k", "kty": "EC", "crv": "P-256", "x": 1}]}'),
    *(b"[" * 200_000, b" " * 1_000_000 + b'{"keys": []}', b"\xff\xfe"),
]


@pytest.mark.parametrize("answer", BAD_KEY_SETS, ids=range(len(BAD_KEY_SETS)))
def test_a_failed_fetch_keeps_the_cached_keys_and_the_fetch_interval(source, jwks, clock, answer):
    ask(source, ACCESS_SIGNING_KEY.kid)
    jwks.document = lambda: answer
    clock.now += FRESH_S

    assert [ask(source, ACCESS_SIGNING_KEY.kid).kid for _ in range(5)] == [ACCESS_SIGNING_KEY.kid] * 5
    assert jwks.fetched == 2


@pytest.mark.parametrize("answer", BAD_KEY_SETS, ids=range(len(BAD_KEY_SETS)))
def test_without_any_keys_every_token_is_refused(source, jwks, answer):
    jwks.document = lambda: answer

    with pytest.raises(Unavailable):
        source.find("k", {})


def test_an_unreachable_server_is_an_expected_failure(clock):
    source = KeySource("http://127.0.0.1:9/keys", clock=lambda: clock.now)

    with pytest.raises(Unavailable):
        source.find("k", {})
