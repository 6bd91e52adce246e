"""The JWS vectors of Project Wycheproof, each checked with its key's algorithm.

Parley's own code checks ES256, PyJWT the other algorithms, both behind the strict parser.
"""

import json
from pathlib import Path

import jwt
import pytest

from parley.auth import jws
from parley.auth.public_keys import parse_jwks
from parley.errors import Unauthorized

FILE = Path(__file__).parents[2] / "data" / "wycheproof" / "json_web_signature_test.json"
GROUPS = json.loads(FILE.read_text())["testGroups"]
VECTORS = {test["tcId"]: (group.get("public") or group["private"], test) for group in GROUPS for test in group["tests"]}
OTHER_ALGORITHMS = ["HS256", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
SAME_AS_VALID = {367: 357, 370: 357}  # same token and key as a vector that is called valid: the file contradicts itself
REFUSED = (
    dict.fromkeys((259, 264, 268, 272, 320, 325), "an empty payload: every Parley token has claims")
    | dict.fromkeys((346, 350), "signed by PS384 though its key says PS256")
    | dict.fromkeys((347, 351), "ES521 is not in any standard")
    | dict.fromkeys((372, 373), "a character outside base64url, which lenient parsers ignore")
)


def is_es256(jwk):
    return jwk.get("alg", "ES256") == "ES256" and jwk["kty"] == "EC"


def accept(jwk, token):
    jws.parse(token)
    if is_es256(jwk):
        (key,) = parse_jwks({"keys": [jwk | {"alg": "ES256", "family": "signing"}]}).values()
        return key.check_signature(token)
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        raise ValueError("not a key for signatures")
    key = jwt.PyJWK(jwk)
    return jwt.PyJWS(algorithms=OTHER_ALGORITHMS).decode(token, key, algorithms=[key.algorithm_name])


def ids(result, *, without):
    return [number for number, (_, test) in VECTORS.items() if test["result"] == result and number not in without]


@pytest.mark.parametrize("number", ids("invalid", without=SAME_AS_VALID))
def test_no_invalid_token_is_accepted(number):
    jwk, test = VECTORS[number]

    with pytest.raises((Unauthorized, ValueError, jwt.PyJWTError)):
        accept(jwk, test["jws"])


@pytest.mark.parametrize("number", ids("valid", without=REFUSED))
def test_valid_tokens_are_accepted(number):
    jwk, test = VECTORS[number]

    accept(jwk, test["jws"])


@pytest.mark.parametrize(("number", "valid"), SAME_AS_VALID.items())
def test_each_skipped_invalid_vector_equals_a_valid_one(number, valid):
    (jwk, test), (valid_jwk, valid_test) = VECTORS[number], VECTORS[valid]

    assert (jwk, test["jws"]) == (valid_jwk, valid_test["jws"])
