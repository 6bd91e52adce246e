"""ID tokens and logout tokens: the bounds of what is accepted, and the keys that may have signed them."""

import base64
import hashlib
import math
from datetime import UTC, datetime, timedelta

import pytest

from functions.auth.oidc.errors import IssuerAnswerInvalid
from functions.auth.oidc.id_tokens import LOGOUT_EVENT, TokenRules, VerificationKey, usable_keys, verify_id_token, verify_logout_token
from functions.auth.oidc.issuers import _matching
from tests.fakes.oidc_issuer import CLIENT_ID, FakeIssuer

ISSUER = FakeIssuer(url="https://issuer.example")
KEYS = usable_keys(ISSUER.keys())
RULES = TokenRules(ISSUER.url, CLIENT_ID, lambda kid, algorithm: _matching(KEYS, kid, algorithm))
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


@pytest.fixture(autouse=True)
def frozen(time_machine):
    """The clock, which stands still."""
    time_machine.move_to(NOW, tick=False)


def login(*, access_token=None, **claims):
    """Return the claims of an ID token."""
    return verify_id_token(ISSUER.sign({"nonce": "n", "sub": "s"} | claims), RULES, nonce="n", access_token=access_token)


def logout(**claims):
    """Return the content of a logout token."""
    return verify_logout_token(ISSUER.logout_token(**claims), RULES)


def refuses(check, **claims):
    with pytest.raises(IssuerAnswerInvalid):
        check(**claims)
    return True


@pytest.mark.parametrize("name", ["s", "s" * 255])
def test_a_subject_a_session_and_an_id_have_up_to_255_letters(name):
    token = logout(sub=name, sid=name, jti=name)

    assert login(sub=name)["sub"] == token.subject == token.issuer_session == token.id == name


@pytest.mark.parametrize("name", ["", "s" * 256, "a\0b"])
def test_no_other_text_is_a_subject_a_session_or_an_id(name):
    assert refuses(login, sub=name)
    assert refuses(logout, sub=name)
    assert refuses(logout, sid=name)
    assert refuses(logout, sub="s", sid=name)
    assert refuses(logout, sub="s", jti=name)


@pytest.mark.parametrize("events", ["x", [LOGOUT_EVENT], {LOGOUT_EVENT: True}])
def test_only_the_event_of_a_logout_orders_one(events):
    assert refuses(logout, sub="s", events=events)


def test_a_token_is_accepted_for_ten_minutes_and_the_difference_of_two_clocks():
    assert (login(iat=SECONDS - 660)["sub"], logout(sub="s", iat=SECONDS - 660).subject) == ("s", "s")
    assert refuses(login, iat=SECONDS - 661)
    assert refuses(logout, sub="s", iat=SECONDS - 661)


def test_a_used_logout_token_is_remembered_for_longer_than_it_would_be_accepted():
    assert timedelta(seconds=660) < logout(sub="s").expires_at - NOW <= timedelta(seconds=720)


def test_a_time_may_have_a_fraction_but_is_a_number():
    assert login(exp=SECONDS + 300.5)["exp"] == SECONDS + 300.5
    assert refuses(login, exp=str(SECONDS + 300))


def test_a_token_has_16384_letters_at_most():
    for letters, is_long in ((16_384, False), (16_385, True)):
        with pytest.raises(IssuerAnswerInvalid) as refused:
            verify_id_token("x" * letters, RULES, nonce="n", access_token=None)
        assert ("too long" in str(refused.value)) == is_long


def test_the_audience_may_be_a_list_of_the_client_alone():
    assert login(aud=[CLIENT_ID], azp=CLIENT_ID)["azp"] == CLIENT_ID


def hash_of(access_token):
    return base64.urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()[:16]).decode().rstrip("=")


def test_the_hash_of_an_access_token_fits_this_token_only():
    assert login(access_token="t", at_hash=hash_of("t"))
    assert refuses(login, access_token="t", at_hash=hash_of("u"))
    assert refuses(login, access_token="t", at_hash=7)
    assert refuses(login, at_hash=hash_of(""))


def test_a_nonce_is_a_text():
    assert refuses(login, nonce=7)


@pytest.mark.parametrize(
    ("jwk", "algorithm", "fits"),
    [
        ({"kty": "EC", "crv": "P-256"}, "ES256", True),
        ({"kty": "EC", "crv": "P-384"}, "ES256", False),
        ({"kty": "EC"}, "RS256", False),
        ({"kty": "RSA"}, "ES256", False),
        ({"kty": "RSA"}, "PS384", True),
        ({"kty": "RSA", "alg": "RS256"}, "RS256", True),
        ({"kty": "RSA", "alg": "RS512"}, "RS256", False),
    ],
)
def test_a_key_fits_the_algorithms_of_its_type_curve_and_declaration(jwk, algorithm, fits):
    assert VerificationKey("k", jwk).fits(algorithm) is fits


@pytest.mark.parametrize(("declared", "is_used"), [({"key_ops": ["verify"]}, 1), ({"key_ops": ["sign"]}, 0), ({"use": "enc"}, 0)])
def test_a_key_for_another_use_verifies_nothing(declared, is_used):
    (jwk,) = ISSUER.keys()["keys"]

    assert len(usable_keys({"keys": [jwk | declared]})) == is_used


@pytest.mark.parametrize("document", [[], {}, {"keys": {}}, "keys"])
def test_a_key_set_that_is_none_is_refused(document):
    with pytest.raises(IssuerAnswerInvalid):
        usable_keys(document)


# M. Nemec et al., "The Return of Coppersmith's Attack": the primes that tell the moduli of the broken chips.
FINGERPRINT = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)


@pytest.mark.parametrize("octets", [16, 18, 22])
def test_a_key_of_the_chips_whose_primes_can_be_computed_is_not_used(octets):
    product = math.prod(FINGERPRINT)
    lowest = 1 << (8 * octets - 2)
    moduli = [lowest - lowest % product + product + pow(65537, power, product) for power in range(2, 22)]
    encoded = [base64.urlsafe_b64encode(one.to_bytes(octets)).decode().rstrip("=") for one in moduli]

    assert usable_keys({"keys": [{"kty": "RSA", "n": n, "e": "AQAB"} for n in encoded]}) == []
