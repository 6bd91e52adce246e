"""Project Wycheproof's vectors of keys and of whole tokens, at both verifiers: of Parley's own tokens, and of an issuer's.

The payloads are no claims, so that an issuer's token is never accepted as a whole: the reason of the refusal shows whether its
signature was.
"""

import json

import pytest

from functions.auth.oidc.errors import IssuerAnswerInvalid
from functions.auth.oidc.id_tokens import TokenRules, usable_keys, verify_id_token
from functions.auth.oidc.issuers import _matching
from parley.auth import jws
from parley.auth.public_keys import parse_jwks
from parley.errors import Unauthorized
from tests.conftest import ROOT

FILES = ("json_web_crypto_test.json", "json_web_key_test.json")
# Both verifiers know asymmetric signatures only, so that a public key is never taken for a shared secret.
OF_SHARED_SECRETS = "HS"
# The ids of the valid vectors of asymmetric keys, by file.
VALID = {("crypto", 18): "ES256", ("crypto", 33): "RS256", ("key", 5): "RS256"}


def vectors():
    """Yield the name, the keys, the token and the expected result of each vector."""
    for file in FILES:
        for group in json.loads((ROOT / "tests" / "data" / "wycheproof" / file).read_text())["testGroups"]:
            keys = group.get("public") or group["private"]
            for test in group["tests"]:
                token = test.get("jws", test.get("jwe"))
                text = token if isinstance(token, str) else json.dumps(token)
                yield (file.split("_")[2], test["tcId"]), keys.get("keys", [keys]), text, test["result"]


VECTORS = list(vectors())
NOT_VALID = [(name, keys, token) for name, keys, token, _ in VECTORS if name not in VALID]


def is_signed_by_parley(keys, token):
    """Whether the verifier of Parley's own tokens accepts the signature."""
    try:
        unverified = jws.parse(token)
        public = parse_jwks({"keys": [key | {"family": "signing"} for key in keys]})
        public[unverified.header["kid"]].check_signature(token)
    except (Unauthorized, ValueError, LookupError):
        return False
    return True


def is_signed_by_an_issuer(keys, token):
    """Whether the verifier of issuers' tokens accepts the signature: it then refuses the payload."""

    def find_key(kid, algorithm):
        return _matching(usable_keys({"keys": keys}), kid, algorithm)

    with pytest.raises(IssuerAnswerInvalid) as refused:
        verify_id_token(token, TokenRules("https://issuer.example", "client", find_key), nonce="n", access_token=None)
    return "Invalid payload string" in str(refused.value.__cause__)


def test_the_files_are_whole():
    results = [result for *_, result in VECTORS]

    assert (len(results), results.count("invalid")) == (83 + 26, 77 + 21)


@pytest.mark.parametrize(("keys", "token"), [vector[1:] for vector in NOT_VALID], ids=[f"{file}-{id}" for (file, id), *_ in NOT_VALID])
def test_no_other_token_is_accepted(keys, token):
    assert (is_signed_by_parley(keys, token), is_signed_by_an_issuer(keys, token)) == (False, False)


def test_every_refused_valid_vector_is_encrypted_or_of_a_shared_secret():
    refused = [keys for name, keys, _, result in VECTORS if result == "valid" and name not in VALID]

    assert {key["alg"][:2] for keys in refused for key in keys} == {OF_SHARED_SECRETS, "A2", "EC"}


@pytest.mark.parametrize(("name", "algorithm"), VALID.items(), ids=str)
def test_valid_tokens_are_accepted(name, algorithm):
    ((keys, token),) = [(keys, token) for found, keys, token, _ in VECTORS if found == name]

    assert is_signed_by_an_issuer(keys, token)
    assert is_signed_by_parley(keys, token) == (algorithm == "ES256")


@pytest.mark.parametrize("key", [{"kty": "oct", "k": "c2VjcmV0"}, {"kty": "RSA", "d": "AQAB"}, {"kty": "EC", "use": "enc"}, "RSA", {}])
def test_only_public_keys_for_signatures_are_used(key):
    assert usable_keys({"keys": [key]}) == []
