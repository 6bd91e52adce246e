from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine

from parley.auth.access_tokens import LIFETIME, issue_token, verify_token
from parley.auth.principal import USER_SCOPES
from parley.auth.public_keys import PublicKey
from parley.auth.signing_keys import SigningKey
from parley.auth.tokens import LEEWAY_S
from parley.clock import utc_now
from parley.errors import Unauthorized
from tests.support.tokens import ACCESS_SIGNING_KEY, API_SIGNING_KEY, ISSUER, PUBLIC_KEYS, forge, make_access_token, make_api_key, signer

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
USER, SESSION = uuid4(), uuid4()


def verify(token, *, keys=PUBLIC_KEYS):
    return verify_token(token, find_key=keys.get, issuer=ISSUER)


def refuses(token, **options):
    with pytest.raises(Unauthorized):
        verify(token, **options)
    return True


def test_a_token_names_its_user_and_session():
    claims = verify(issue_token(USER, SESSION, USER_SCOPES, key=ACCESS_SIGNING_KEY, issuer=ISSUER, now=utc_now()))

    assert (claims["sub"], claims["sid"], claims["iss"]) == (str(USER), str(SESSION), ISSUER)


def test_a_token_is_valid_for_exactly_ten_minutes_plus_leeway():
    token = make_access_token(now=NOW)
    ends = NOW + LIFETIME + timedelta(seconds=LEEWAY_S)
    with time_machine.travel(ends - timedelta(seconds=1), tick=False):
        verify(token)

    with time_machine.travel(ends, tick=False):
        assert refuses(token)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_from_the_future_is_refused_exactly_beyond_the_leeway(claim):
    token = make_access_token(now=NOW)
    with time_machine.travel(NOW, tick=False):
        verify(forge(token, claims={claim: SECONDS + LEEWAY_S}))

        assert refuses(forge(token, claims={claim: SECONDS + LEEWAY_S + 1}))


def test_a_token_with_a_longer_lifetime_than_parley_signs_is_refused():
    with time_machine.travel(NOW, tick=False):
        verify(forge(make_access_token(now=NOW), claims={"exp": SECONDS + 600}))

        assert refuses(forge(make_access_token(now=NOW), claims={"exp": SECONDS + 601}))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "sid", "jti", "scope", "iat", "nbf", "exp"])
def test_a_token_without_a_claim_is_refused(claim):
    assert refuses(forge(make_access_token(), claims={claim: None}))


WRONG = ["", "x", True, 1.5, [], {}, ["x"], "\0", 10**400]


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp"])
@pytest.mark.parametrize("value", WRONG)
def test_a_malformed_claim_is_refused(claim, value):
    assert refuses(forge(make_access_token(), claims={claim: value}))


@pytest.mark.parametrize("value", [7, True, [], ["chat"], {"chat": True}])
def test_scopes_that_are_not_text_are_refused(value):
    assert refuses(forge(make_access_token(), claims={"scope": value}))


@pytest.mark.parametrize("claim", ["iat", "nbf", "exp"])
@pytest.mark.parametrize("kind", [str, float])
def test_a_valid_time_that_is_not_an_integer_is_refused(claim, kind):
    right = int(utc_now().timestamp()) + (60 if claim == "exp" else 0)
    verify(forge(make_access_token(), claims={claim: right}))

    assert refuses(forge(make_access_token(), claims={claim: kind(right)}))


@pytest.mark.parametrize("value", [[ISSUER], "parley/test/dev", "parley/other/prod", "parley", ISSUER.upper(), ISSUER + "/"])
def test_a_token_of_another_deployment_is_refused(value):
    assert refuses(forge(make_access_token(), claims={"iss": value}))


@pytest.mark.parametrize("value", [["parley-api"], ["parley-api", "other"], "other"])
def test_a_token_for_another_audience_is_refused(value):
    assert refuses(forge(make_access_token(), claims={"aud": value}))


@pytest.mark.parametrize("claim", ["sub", "sid", "jti"])
@pytest.mark.parametrize("spell", [str.upper, "{{{}}}".format, "urn:uuid:{}".format, lambda text: text.replace("-", "")])
def test_an_id_has_one_spelling_only(claim, spell):
    assert refuses(forge(make_access_token(), claims={claim: spell("0192e4a0-7b1c-7def-8abc-0123456789ab")}))


@pytest.mark.parametrize("typ", [None, "JWT", "at+JWT", "AT+JWT", "application/at+jwt", "ak+jwt", "rt+jwt", ""])
def test_a_token_of_another_type_is_not_an_access_token(typ):
    assert refuses(forge(make_access_token(), typ=typ))


@pytest.mark.parametrize("token", [make_api_key(), make_api_key().removeprefix("parley_"), "prt_" + "A" * 64])
def test_an_api_key_or_refresh_token_is_not_an_access_token(token):
    assert refuses(token)


def test_an_api_key_signing_key_does_not_verify_access_tokens():
    assert refuses(forge(make_access_token(), sign=signer(API_SIGNING_KEY), kid=API_SIGNING_KEY.kid))


def test_a_token_signed_by_another_key_is_refused_despite_a_known_kid():
    assert refuses(forge(make_access_token(), sign=signer(SigningKey.generate(now=NOW))))


def test_a_token_with_an_unknown_kid_is_refused():
    assert refuses(make_access_token(key=SigningKey.generate(now=NOW)))


def test_an_unexpected_header_triggers_no_key_lookup():
    lookups = []
    for token in (
        forge(make_access_token(), typ="JWT"),
        forge(make_access_token(), alg="none"),
        forge(make_access_token(), kid="../x"),
        "a.b.c",
    ):
        with pytest.raises(Unauthorized):
            verify_token(token, find_key=lookups.append, issuer=ISSUER)

    assert lookups == []


def test_a_key_stored_under_the_wrong_kid_verifies_nothing():
    other = SigningKey.generate(now=NOW)
    keys = {other.kid: PublicKey(other.kid, "signing", PUBLIC_KEYS[ACCESS_SIGNING_KEY.kid].public)}

    assert refuses(make_access_token(key=other), keys=keys)
