import hmac
import json
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.utils import base64url_encode

from parley.auth.access_tokens import ISSUER, LEEWAY_S, LIFETIME, TYPE, issue_token, verify_token
from parley.auth.principal import USER_SCOPES
from parley.auth.signing_keys import SigningKey
from parley.clock import utc_now
from parley.errors import Unauthorized

KEY = SigningKey.generate(now=utc_now())
OTHER = SigningKey.generate(now=utc_now())
KEYS = {KEY.kid: jwt.PyJWK(KEY.public_jwk())}
USER, SESSION = uuid4(), uuid4()


def token(*, key=KEY, age=timedelta(0)):
    return issue_token(USER, SESSION, USER_SCOPES, key=key, now=utc_now() - age)


def forged(claims=None, *, key=KEY.private_key, algorithm="ES256", **header):
    good = jwt.decode(token(), options={"verify_signature": False})
    merged = {name: value for name, value in (good | (claims or {})).items() if value is not None}
    return jwt.encode(merged, key, algorithm=algorithm, headers={"kid": KEY.kid, "typ": TYPE} | header)


def test_a_token_tells_who_and_which_session():
    claims = verify_token(token(), keys=KEYS)

    assert (claims["sub"], claims["sid"], claims["iss"]) == (str(USER), str(SESSION), ISSUER)


def test_a_token_lives_ten_minutes_and_the_leeway():
    verify_token(token(age=LIFETIME + timedelta(seconds=LEEWAY_S - 3)), keys=KEYS)

    with pytest.raises(Unauthorized):
        verify_token(token(age=LIFETIME + timedelta(seconds=LEEWAY_S + 3)), keys=KEYS)


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "sid", "jti", "scope", "iat", "nbf", "exp"])
def test_a_token_without_a_claim_is_refused(claim):
    with pytest.raises(Unauthorized):
        verify_token(forged({claim: None}), keys=KEYS)


@pytest.mark.parametrize("claims", [{"iss": "other"}, {"aud": "other"}, {"sub": "not-a-uuid"}, {"sid": 7}, {"scope": ["chat"]}])
def test_a_token_with_a_wrong_claim_is_refused(claims):
    with pytest.raises(Unauthorized):
        verify_token(forged(claims), keys=KEYS)


def test_a_token_of_another_key_is_refused_even_under_our_key_id():
    with pytest.raises(Unauthorized):
        verify_token(forged(key=OTHER.private_key), keys=KEYS)


def test_a_token_of_an_unknown_key_is_refused():
    with pytest.raises(Unauthorized):
        verify_token(token(key=OTHER), keys=KEYS)


def test_a_token_without_a_signature_is_refused():
    with pytest.raises(Unauthorized):
        verify_token(forged(key=None, algorithm="none"), keys=KEYS)


def test_our_public_key_cannot_sign_as_a_shared_secret():
    public = KEY.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = base64url_encode(json.dumps({"alg": "HS256", "kid": KEY.kid, "typ": TYPE}).encode())
    signed = header + b"." + token().split(".")[1].encode()
    signature = base64url_encode(hmac.digest(public, signed, "sha256"))

    with pytest.raises(Unauthorized):
        verify_token((signed + b"." + signature).decode(), keys=KEYS)


def test_another_type_of_token_is_no_access_token():
    with pytest.raises(Unauthorized):
        verify_token(forged(typ="JWT"), keys=KEYS)


@pytest.mark.parametrize("text", ["", ".", "a.b.c", "eyJhbGciOiJFUzI1NiJ9..", "\u00e9", "x" * 10_000])
def test_garbage_is_refused(text):
    with pytest.raises(Unauthorized):
        verify_token(text, keys=KEYS)
