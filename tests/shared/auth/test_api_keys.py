from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import time_machine

from parley.auth.api_keys import MAX_LIFETIME, issue_api_key, verify_api_key
from parley.auth.principal import API_KEY_SCOPES, Principal
from parley.auth.tokens import LEEWAY_S
from parley.errors import Unauthorized
from tests.support.tokens import ACCESS_SIGNING_KEY, API_SIGNING_KEY, ISSUER, PUBLIC_KEYS, forge, make_access_token, make_api_key, signer

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
USER, KEY_ID = uuid4(), uuid4()


def issued(*, scopes=API_KEY_SCOPES, lifetime=timedelta(days=1)):
    return issue_api_key(USER, KEY_ID, scopes, expires_at=NOW + lifetime, key=API_SIGNING_KEY, issuer=ISSUER, now=NOW)


def verify(text):
    return verify_api_key(text, find_key=PUBLIC_KEYS.get, issuer=ISSUER)


def refuses(text):
    with pytest.raises(Unauthorized):
        verify(text)
    return True


@time_machine.travel(NOW, tick=False)
def test_an_api_key_is_a_principal_without_a_session():
    principal = Principal.from_claims(verify(issued(scopes=frozenset({"chat"}))))

    assert principal == Principal(USER, None, KEY_ID, frozenset({"chat"}), NOW + timedelta(days=1))


@time_machine.travel(NOW, tick=False)
def test_an_api_key_is_valid_only_with_its_prefix():
    assert issued().startswith("parley_")
    assert refuses(issued().removeprefix("parley_"))
    assert refuses("parley_" + issued())


def test_an_api_key_is_valid_exactly_until_its_expiry_plus_leeway():
    key, ends = issued(), NOW + timedelta(days=1, seconds=LEEWAY_S)
    with time_machine.travel(ends - timedelta(seconds=1), tick=False):
        verify(key)

    with time_machine.travel(ends, tick=False):
        assert refuses(key)


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(days=-1), MAX_LIFETIME + timedelta(seconds=1)])
def test_an_api_key_cannot_be_issued_for_over_a_year_or_the_past(lifetime):
    with pytest.raises(ValueError, match="must not have the scopes"):
        issued(lifetime=lifetime)


def test_an_api_key_may_be_valid_for_a_year_but_no_longer():
    issued(lifetime=MAX_LIFETIME)

    assert refuses(forge(make_api_key(lifetime=MAX_LIFETIME), claims={"exp": int((NOW + MAX_LIFETIME * 3).timestamp())}))


@pytest.mark.parametrize("scope", ["account", "admin", "made-up"])
def test_an_api_key_cannot_be_issued_with_account_or_admin_scopes(scope):
    with pytest.raises(ValueError, match="must not have the scopes"):
        issued(scopes=frozenset({"chat", scope}))


@pytest.mark.parametrize("scope", ["account", "admin", "chat admin", "made-up"])
def test_an_api_key_that_claims_such_scopes_is_refused(scope):
    assert refuses(forge(make_api_key(), claims={"scope": scope}))


def test_an_api_key_with_a_session_is_refused():
    assert refuses(forge(make_api_key(), claims={"sid": str(UUID(int=1))}))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "jti", "scope", "iat", "nbf", "exp"])
def test_an_api_key_without_a_claim_is_refused(claim):
    assert refuses(forge(make_api_key(), claims={claim: None}))


def test_a_claim_that_the_authorizer_adds_cannot_be_forged():
    claims = verify(forge(make_api_key(), claims={"api_key_id": str(UUID(int=7))}))

    assert claims["api_key_id"] == claims["jti"] != str(UUID(int=7))


def test_an_access_token_signing_key_does_not_verify_api_keys():
    assert refuses(forge(make_api_key(), sign=signer(ACCESS_SIGNING_KEY), kid=ACCESS_SIGNING_KEY.kid))


def test_a_key_signs_only_tokens_of_its_family():
    with pytest.raises(ValueError, match="cannot sign"):
        make_api_key(key=ACCESS_SIGNING_KEY)
    with pytest.raises(ValueError, match="cannot sign"):
        make_access_token(key=API_SIGNING_KEY)


def test_an_access_token_is_not_an_api_key():
    assert refuses(make_access_token())
    assert refuses("parley_" + make_access_token())


def test_an_api_key_of_another_deployment_is_refused():
    assert refuses(make_api_key(issuer="parley/test/dev"))
