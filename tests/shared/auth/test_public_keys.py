import pytest

from parley.auth.public_keys import parse_jwks
from parley.auth.signing_keys import SigningKey
from parley.clock import utc_now
from tests.support.tokens import ACCESS_SIGNING_KEY, API_SIGNING_KEY, KEY_RING, PUBLIC_KEYS

JWK = ACCESS_SIGNING_KEY.public_jwk()


def test_published_keys_name_their_family():
    assert {kid: key.family for kid, key in PUBLIC_KEYS.items()} == {ACCESS_SIGNING_KEY.kid: "signing", API_SIGNING_KEY.kid: "api"}


def test_published_keys_have_no_private_half():
    assert all(set(jwk) == {"kty", "crv", "x", "y", "kid", "alg", "use", "family"} for jwk in KEY_RING.jwks()["keys"])


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"use": "enc"},
            {"use": None},
            {"key_ops": ["sign"]},
            {"key_ops": []},
            {"family": "other"},
            {"family": None},
            {"family": ["api"]},
        ),
        *({"alg": "HS256"}, {"alg": None}, {"alg": "none"}, {"kty": "oct", "k": "AAAA"}, {"crv": "P-384"}, {"crv": "secp256k1"}),
    ],
)
def test_a_key_for_another_use_is_skipped(change):
    other = SigningKey.generate(now=utc_now()).public_jwk()

    assert set(parse_jwks({"keys": [JWK | change, other]})) == {other["kid"]}


@pytest.mark.parametrize("change", [{"x": 1}, {"x": "AA"}, {"y": JWK["x"]}, {"d": "AA"}, {"key_ops": 1}])
def test_a_malformed_key_invalidates_the_set(change):
    with pytest.raises(ValueError, match=r"key set|point"):
        parse_jwks({"keys": [JWK | change]})


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": ["x"]}, {"keys": []}, {"keys": [{"alg": "RS256"}]}, "x", 1])
def test_a_document_that_is_not_a_key_set_is_refused(document):
    with pytest.raises(ValueError, match="key"):
        parse_jwks(document)
