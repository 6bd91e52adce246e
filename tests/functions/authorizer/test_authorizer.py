from datetime import timedelta

import pytest

from functions.authorizer.jwks import KeySource
from functions.authorizer.policy import policy_for
from parley.auth.principal import ADMIN_SCOPES
from parley.clock import utc_now
from parley.errors import Unavailable
from tests.functions.authorizer.events import ME_ROUTE, authorizer_request
from tests.support.tokens import make_access_token, make_api_key, make_client_token

STAGE = "arn:aws:execute-api:us-east-1:123456789012:local/prod"


def statements(policy):
    return [(one["Effect"], one["Resource"]) for one in policy["policyDocument"]["Statement"]]


def test_a_valid_token_may_call_all_routes_but_the_admin_routes(ask):
    assert statements(ask(f"Bearer {make_access_token()}")) == [("Allow", f"{STAGE}/*/*"), ("Deny", f"{STAGE}/*/admin/*")]


def test_an_admins_token_may_call_the_admin_routes_too(ask):
    assert statements(ask(f"Bearer {make_access_token(ADMIN_SCOPES)}")) == [("Allow", f"{STAGE}/*/*")]


def test_an_api_key_may_call_neither_account_nor_admin_routes(ask):
    denied = [("Deny", f"{STAGE}/*/admin/*"), ("Deny", f"{STAGE}/*/auth/*")]

    assert statements(ask(f"Bearer {make_api_key()}")) == [("Allow", f"{STAGE}/*/*"), *denied]


def test_a_token_of_an_mcp_client_may_call_the_mcp_route_and_no_other(ask):
    policy = ask(f"Bearer {make_client_token()}")

    assert statements(policy) == [("Allow", f"{STAGE}/POST/mcp")]
    assert policy["context"]["scope"] == "mcp:conversations mcp:documents mcp:tools"


@pytest.mark.parametrize("prefix", ["", "parley_", "pmt_"])
def test_no_kind_of_token_is_accepted_as_another(ask, prefix):
    tokens = {"": make_access_token(), "parley_": make_api_key(), "pmt_": make_client_token()}
    others = [token.removeprefix(kind) for kind, token in tokens.items() if kind != prefix]
    for other in others:
        with pytest.raises(Exception, match="^Unauthorized$"):
            ask(f"Bearer {prefix}{other}")


def test_the_context_names_the_caller_the_credential_and_its_expiry(ask):
    assert set(ask(f"bearer {make_access_token()}")["context"]) == {"sub", "sid", "scope", "exp"}
    assert set(ask(f"Bearer {make_api_key()}")["context"]) == {"sub", "api_key_id", "scope", "exp"}


def test_the_header_name_is_case_insensitive(handler, ask):
    assert ask(authorization=f"Bearer {make_access_token()}")["principalId"]


@pytest.mark.parametrize("make", [make_api_key, make_access_token])
def test_a_credential_may_also_be_the_api_key_header_of_anthropics_clients(ask, make):
    token = make()

    assert ask(x_api_key=token) == ask(f"Bearer {token}")


@pytest.mark.parametrize("key", ["", "parley_", "x.y.z", "a" * 9000])
def test_any_other_api_key_header_is_unauthorized(ask, key):
    with pytest.raises(Exception, match="^Unauthorized$"):
        ask(x_api_key=key)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer x.y.z", "Basic dXNlcjpwYXNz", "Bearer " + "a" * 9000])
def test_every_other_header_is_unauthorized(ask, header):
    with pytest.raises(Exception, match="^Unauthorized$"):
        ask(header)


def test_an_expired_token_is_refused(ask):
    with pytest.raises(Exception, match="^Unauthorized$"):
        ask(f"Bearer {make_access_token(now=utc_now() - timedelta(hours=1))}")


def test_a_refused_token_is_logged_without_the_token(ask, caplog):
    caplog.set_level("INFO")
    token = make_access_token(now=utc_now() - timedelta(hours=1))
    with pytest.raises(Exception, match="^Unauthorized$"):
        ask(f"Bearer {token}")

    assert [record.getMessage() for record in caplog.records].count("token_rejected") == 1
    assert token not in caplog.text


def test_a_token_of_another_deployment_is_refused(ask):
    with pytest.raises(Exception, match="^Unauthorized$"):
        ask(f"Bearer {make_access_token(issuer='parley/test/dev')}")


def test_a_valid_token_with_another_scheme_is_refused(ask):
    with pytest.raises(Exception, match="^Unauthorized$"):
        ask(f"Basic {make_access_token()}")


def test_without_keys_a_valid_token_is_not_unauthorized(ask, jwks):
    jwks.document = lambda: None

    with pytest.raises(Unavailable):
        ask(f"Bearer {make_access_token()}")


def test_an_authorizer_that_started_without_keys_recovers(ask, jwks, clock, monkeypatch):
    good, jwks.document = jwks.document, lambda: None
    with pytest.raises(Unavailable):
        ask(f"Bearer {make_access_token()}")
    jwks.document = good
    clock.now += 1

    assert ask(f"Bearer {make_access_token()}")["principalId"]


def test_a_policy_names_this_stage_only():
    policy = policy_for({"sub": "u", "sid": "s", "scope": "chat", "exp": 1}, "arn:aws:execute-api:r:1:api/dev/POST/a/b/c")

    assert all(resource.startswith("arn:aws:execute-api:r:1:api/dev/") for _, resource in statements(policy))


def test_the_settings_are_what_the_template_sets(authorizer):
    read = authorizer.AuthorizerSettings.from_environment({"PARLEY_JWKS_URL": "u", "PARLEY_ISSUER": "i", "AWS_REGION": "r"})

    assert read == authorizer.AuthorizerSettings(jwks_url="u", issuer="i", aws_region="r")


@pytest.mark.parametrize("url", ["", " "])
def test_an_authorizer_that_cannot_know_where_the_keys_are_refuses_to_start(authorizer, url):
    with pytest.raises(authorizer.MissingKeyUrl, match="Set the parameter JwksUrl"):
        authorizer.AuthorizerSettings.from_environment({"PARLEY_JWKS_URL": url, "PARLEY_ISSUER": "i"})


@pytest.mark.parametrize("places", [{"PARLEY_JWKS_URL": "u"}, {"PARLEY_JWKS_URL": "", "AWS_REGION": "r"}])
def test_the_address_of_the_keys_or_the_region_of_the_gateway_is_enough(authorizer, places):
    read = authorizer.AuthorizerSettings.from_environment({"PARLEY_ISSUER": "i"} | places)

    assert (read.jwks_url, read.aws_region) == (places["PARLEY_JWKS_URL"], places.get("AWS_REGION", ""))


def test_a_request_without_any_header_is_unauthorized(handler):
    request = authorizer_request(ME_ROUTE, {}) | {"headers": None}

    with pytest.raises(Exception, match="^Unauthorized$"):
        handler(request, None)


def test_beside_an_authorization_header_no_other_decides(ask):
    with pytest.raises(Exception, match="^Unauthorized$"):
        ask("Bearer x.y.z", x_api_key=make_api_key())


def test_without_jwks_url_a_token_signed_by_the_host_that_the_client_names_is_refused(authorizer, monkeypatch, jwks):
    fetched = []
    monkeypatch.setattr(authorizer, "keys", KeySource(region="eu-west-1"))
    monkeypatch.setattr(authorizer.keys, "_fetch", fetched.append)
    request = authorizer_request(ME_ROUTE, {"Authorization": f"Bearer {make_access_token()}", "Host": "attacker.example"})
    request["requestContext"] |= {"domainName": "attacker.example", "apiId": "abc", "stage": "prod"}

    with pytest.raises(Unavailable):
        authorizer.handler(request, None)
    assert fetched == ["https://abc.execute-api.eu-west-1.amazonaws.com/prod/.well-known/jwks.json"]
