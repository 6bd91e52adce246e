"""Tokens that PyJWT accepts and the strict parser refuses."""

import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.utils import base64url_encode

from parley.auth import jws
from parley.errors import Unauthorized
from tests.support.tokens import ACCESS_SIGNING_KEY, assemble, forge, make_access_token, signer

GOOD = make_access_token()
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")
HEADER_MEMBERS = {"alg": "ES256", "kid": ACCESS_SIGNING_KEY.kid, "typ": "at+jwt"}


def test_a_valid_token_is_parsed():
    token = jws.parse(GOOD)

    assert (token.header, set(jws.parse_json_object(token.payload)) >= {"sub", "exp"}) == (HEADER_MEMBERS, True)


def test_a_signature_has_one_spelling_only():
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same_bits = [GOOD[:-1] + last[(last.index(GOOD[-1]) & ~0b1111) + spare] for spare in range(16)]
    others = [token for token in same_bits if token != GOOD]

    assert len(others) == 15
    for token in others:
        with pytest.raises(Unauthorized):
            jws.parse(token)


@pytest.mark.parametrize(
    "token",
    [
        *(GOOD + "=", GOOD + "==", HEADER + "=." + PAYLOAD + "." + SIGNATURE, GOOD + "\n", " " + GOOD, GOOD + ".", "." + GOOD),
        *(f"{HEADER}.{PAYLOAD}", f"{HEADER}..{SIGNATURE}", f"{HEADER}.{PAYLOAD}.", f"{GOOD}.{SIGNATURE}", GOOD.replace(".", "..")),
        *(GOOD[:-2] + "+/", GOOD[:-1] + "é", GOOD[:9] + "\0" + GOOD[9:], GOOD + "AAA", f"{HEADER}.{PAYLOAD}\n.{SIGNATURE}"),
        *("", ".", "..", "a.b.c", "x" * 10_000, f"{'A' * jws.MAX_LENGTH}.{PAYLOAD}.{SIGNATURE}"),
        json.dumps({"protected": HEADER, "payload": PAYLOAD, "signature": SIGNATURE}),
    ],
)
def test_a_non_canonical_spelling_is_refused(token):
    with pytest.raises(Unauthorized):
        jws.parse(token)


def token_of(letters):
    """Return a token of this length, whose payload and signature are zeros."""
    room = letters - len(HEADER) - 2
    signature = next(length for length in (2, 3, 4) if (room - length) % 4 != 1)
    return f"{HEADER}.{'A' * (room - signature)}.{'A' * signature}"


def test_a_token_has_4096_characters_at_most():
    assert jws.parse(token_of(4096)).header == HEADER_MEMBERS
    with pytest.raises(Unauthorized, match="too long"):
        jws.parse(token_of(4097))


@pytest.mark.parametrize("name", ["crit", "jwk", "jku", "x5u", "x5c", "x5t", "b64", "zip", "enc", "cty", "epk", "kid2"])
@pytest.mark.parametrize("value", ["x", ["x"], {"kty": "EC"}, True, False, 1])
def test_an_unknown_header_member_is_refused(name, value):
    with pytest.raises(Unauthorized):
        jws.parse(forge(GOOD, **{name: value}))


@pytest.mark.parametrize(
    "header",
    [
        *(b'{"alg":"none","alg":"ES256"}', b'{"alg":"ES256","kid":"a","kid":"b"}', b'{"\\u0061lg":"none","alg":"ES256"}'),
        *(b'["ES256"]', b'"ES256"', b"null", b"1", b"NaN", b"{", b"", b"{'alg':'ES256'}", b'{"alg":NaN}', b'{"kid":Infinity}'),
        *(b'{"alg":"ES256"}x', b'\xff\xfe{"alg":"ES256"}', b'\xef\xbb\xbf{"alg":"ES256"}', b'{"kid":null}', b'{"kid":1}', b'{"typ":["x"]}'),
        *(b"[" * 2500, b'{"kid":' * 400, '{"alg":"ES256"}'.encode("utf-16")),
    ],
)
def test_a_header_that_is_not_an_object_of_strings_is_refused(header):
    with pytest.raises(Unauthorized):
        jws.parse(assemble(header, b"{}", signer(ACCESS_SIGNING_KEY)))


@pytest.mark.parametrize("payload", [b'{"sub":"a","sub":"b"}', b'{"exp":NaN}', b"[]", b"null", b"\xff", b"{", b"[" * 100_000, b"9" * 5000])
def test_claims_that_are_not_a_strict_json_object_are_refused(payload):
    with pytest.raises(Unauthorized):
        jws.parse_json_object(payload)


@given(st.text() | st.from_regex(r"[A-Za-z0-9_=-]{0,9}\.[A-Za-z0-9_=-]{0,9}\.[A-Za-z0-9_=-]{0,9}"))
def test_any_text_is_refused_without_another_error(text):
    with pytest.raises(Unauthorized):
        jws.parse(text)


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ"]), st.text(max_size=20)), st.binary(min_size=1, max_size=40))
def test_the_parser_and_pyjwt_read_the_same(header, payload):
    token = assemble(header, payload, signer(ACCESS_SIGNING_KEY))
    read = jwt.PyJWS().decode_complete(token, options={"verify_signature": False})

    assert (jws.parse(token).header, jws.parse(token).payload) == (read["header"], read["payload"])
    assert base64url_encode(payload).decode() == token.split(".")[1]
