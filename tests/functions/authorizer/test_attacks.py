"""Token forgeries from jwt_tool and RFC 8725, sent to the handler in the gateway's event.

Every forgery is rejected with the exception that the gateway answers with 401, and only a well-formed key id is looked up.
"""

import hmac
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

from parley.auth.signing_keys import SigningKey
from parley.clock import utc_now
from tests.support.tokens import ACCESS_SIGNING_KEY, API_SIGNING_KEY, assemble, forge, make_access_token, make_api_key, signer

PUBLIC = ACCESS_SIGNING_KEY.private_key.public_key()
THEIRS = SigningKey.generate(now=utc_now())
RSA = generate_private_key(65537, 2048)
CURVE_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def mac(secret, *, digest="sha256"):
    return lambda data: hmac.digest(secret, data, digest)


def fixed(signature):
    return lambda data: signature


def pair(r, s):
    return fixed(r.to_bytes(32) + s.to_bytes(32))


NONE = [
    "none",
    "None",
    "NONE",
    "nOnE",
    "none ",
    " none",
    "",
    "null",
    "nоne",
    "none\0",
    None,
    False,
    0,
    [],
    ["none"],
    ["ES256"],
    {"alg": "ES256"},
]
NO_ALGORITHM = {
    f"alg {alg!r}, {name}": {"alg": alg, "sign": sign} for alg in NONE for name, sign in [("empty", fixed(b"")), ("some", fixed(b"x" * 64))]
}
PUBLIC_FORMS = {
    "pem": PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "pem without its last newline": PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).rstrip(),
    "der": PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "point": PUBLIC.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
    "jwk": json.dumps(ACCESS_SIGNING_KEY.public_jwk()).encode(),
    "x": ACCESS_SIGNING_KEY.public_jwk()["x"].encode(),
    "blank": b"",
    "zero": b"\0",
    "kid": ACCESS_SIGNING_KEY.kid.encode(),
    "secret": b"secret",
}
CONFUSED = {
    f"{alg} by {name}": {"alg": alg, "sign": mac(secret, digest=digest)}
    for name, secret in PUBLIC_FORMS.items()
    for alg, digest in [("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512"), ("ES256", "sha256")]
}
OTHER_ALGORITHMS = {
    alg: {"alg": alg, "sign": signer(ACCESS_SIGNING_KEY)}
    for alg in ["ES384", "ES512", "ES256K", "EdDSA", "RS256", "PS256", "es256", "ES256 "]
}
OTHER_ALGORITHMS["RS256 by a key of theirs"] = {"alg": "RS256", "sign": lambda data: RSAAlgorithm(RSAAlgorithm.SHA256).sign(data, RSA)}
PSYCHIC = {
    f"r={r:x} s={s:x}": {"sign": pair(r, s)}
    for r in (0, 1, CURVE_ORDER, CURVE_ORDER - 1, CURVE_ORDER + 1, 2**256 - 1)
    for s in (0, 1, CURVE_ORDER, CURVE_ORDER - 1)
}
SIGNATURES = {f"{len(raw)} bytes": {"sign": fixed(raw)} for raw in (b"", b"\0", b"\0" * 63, b"\0" * 65, b"\0" * 128, b"0" * 1000)}
SIGNATURES["der in place of raw"] = {"sign": lambda data: bytes.fromhex("3006020101020101")}
_THEIR_JWK = ECAlgorithm.to_jwk(THEIRS.private_key.public_key(), as_dict=True)
EMBEDDED = {
    name: {name: value, "sign": signer(THEIRS)}
    for name, value in {
        "jwk": _THEIR_JWK,
        "jku": "http://127.0.0.1:9/theirs.json",
        "x5u": "http://127.0.0.1:9/theirs.pem",
        "x5c": ["MIIB"],
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
    }.items()
} | {f"{name}, rightly signed": {name: value} for name, value in {"jwk": _THEIR_JWK, "crit": ["b64"], "b64": True, "x5t": "AA"}.items()}
KIDS = [
    *("", ".", "../../../../dev/null", "/dev/null", "file:///dev/null", "http://127.0.0.1:9/", "x' UNION SELECT 'key'-- ", "x;sleep 10;"),
    *(
        "$(sleep 10)",
        "%00",
        "\0",
        "a\nb",
        "{{7*7}}",
        "__proto__",
        "é",
        "\u202e",
        "x" * 65,
        "x" * 3000,
        None,
        True,
        7,
        [],
        [ACCESS_SIGNING_KEY.kid],
        {},
    ),
]
_TOLD = {index: "[ours]" if kid == [ACCESS_SIGNING_KEY.kid] else str(kid)[:30] for index, kid in enumerate(KIDS)}
NAMED = {f"kid {_TOLD[index]!r} {index}": {"kid": kid, "sign": mac(b"")} for index, kid in enumerate(KIDS)}
NAMED |= {f"kid {_TOLD[index]!r} {index}, rightly signed": {"kid": kid} for index, kid in enumerate(KIDS)}
FAMILIES = {
    "an API key's typ": {"typ": "ak+jwt"},
    "an API key's key": {"kid": API_SIGNING_KEY.kid, "sign": signer(API_SIGNING_KEY)},
    "an API key's kid": {"kid": API_SIGNING_KEY.kid},
    "their key under our kid": {"sign": signer(THEIRS)},
    "their key": {"kid": THEIRS.kid, "sign": signer(THEIRS)},
}
FORGERIES = NO_ALGORITHM | CONFUSED | OTHER_ALGORITHMS | PSYCHIC | SIGNATURES | EMBEDDED | NAMED | FAMILIES


def refused(ask, token):
    with pytest.raises(Exception) as raised:
        ask(f"Bearer {token}")
    return (type(raised.value), str(raised.value)) == (Exception, "Unauthorized")


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_access_token_is_refused(ask, name):
    assert refused(ask, forge(make_access_token(), **FORGERIES[name]))


@pytest.mark.parametrize("name", [name for name in FORGERIES if name not in FAMILIES or "API" not in name])
def test_a_forged_api_key_is_refused(ask, name):
    assert refused(ask, forge(make_api_key(), **FORGERIES[name]))


def test_access_tokens_and_api_keys_do_not_verify_with_each_others_keys(ask):
    assert refused(ask, forge(make_api_key(), kid=ACCESS_SIGNING_KEY.kid, sign=signer(ACCESS_SIGNING_KEY)))
    assert refused(ask, forge(make_access_token(), kid=API_SIGNING_KEY.kid, sign=signer(API_SIGNING_KEY)))


@pytest.mark.parametrize("token", [make_access_token(), make_api_key()])
def test_an_access_token_in_an_api_keys_form_is_refused_and_vice_versa(ask, token):
    assert refused(ask, token.removeprefix("parley_") if token.startswith("parley_") else "parley_" + token)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_with_any_part_of_another_is_refused(ask, part):
    first, second = (
        make_access_token().split("."),
        make_access_token(frozenset({"admin"}), now=utc_now() - timedelta(seconds=30)).split("."),
    )
    first[part] = (
        second[part] if part else base64url_encode(b'{"alg":"none","kid":"%s","typ":"at+jwt"}' % ACCESS_SIGNING_KEY.kid.encode()).decode()
    )

    assert refused(ask, ".".join(first))


@pytest.mark.parametrize(
    "header", [b'{"alg":"none","alg":"ES256","kid":"%s","typ":"at+jwt"}', b'{"alg":"ES256","kid":"x","kid":"%s","typ":"at+jwt"}']
)
def test_a_duplicate_member_is_refused(ask, header):
    claims = forge(make_access_token(), claims={}).split(".")[1]
    token = assemble(header % ACCESS_SIGNING_KEY.kid.encode(), b"{}", signer(ACCESS_SIGNING_KEY)).split(".")

    assert refused(ask, ".".join([token[0], claims, token[2]]))


@pytest.mark.parametrize("claims", [b'{"sub":"a","sub":"b"}', b"[]", b"null", b'"x"', b"1", b"\xff", b"{", b"[" * 2000, b'{"exp":NaN}'])
def test_signed_claims_that_are_not_an_object_are_refused(ask, claims):
    assert refused(ask, assemble({"alg": "ES256", "kid": ACCESS_SIGNING_KEY.kid, "typ": "at+jwt"}, claims, signer(ACCESS_SIGNING_KEY)))


def test_all_forgeries_together_cause_one_extra_fetch(ask, jwks):
    ask(f"Bearer {make_access_token()}")
    for forgery in FORGERIES.values():
        refused(ask, forge(make_access_token(), **forgery))

    assert jwks.fetched == 2


def test_a_token_with_an_invalid_header_causes_no_fetch(ask, jwks):
    for forgery in (NO_ALGORITHM | EMBEDDED | OTHER_ALGORITHMS).values():
        refused(ask, forge(make_access_token(), **forgery))

    assert jwks.fetched == 0
