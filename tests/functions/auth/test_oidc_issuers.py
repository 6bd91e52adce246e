"""Issuers as operators configure them, and the requests that this server sends to them."""

import json
import secrets

import boto3
import pytest

from functions.auth.oidc.configuration import parse_issuers
from tests.fakes.oidc_issuer import SECRET, error_of, rsa_key

CORP = {"id": "corp", "label": "Corp", "issuer": "https://idp.example", "client_id": "parley"}
DISCOVERY = "/.well-known/openid-configuration"


def parsed(*issuers):
    return parse_issuers(json.dumps(issuers))


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://idp.example", "idp.example:443"),
        ("https://idp.example:8443/realms/x", "idp.example:8443"),
        ("http://localhost", "localhost:80"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000"),
    ],
)
def test_an_issuers_host_has_the_port_of_its_address(address, host):
    assert [one.host for one in parsed(CORP | {"issuer": address})] == [host]


@pytest.mark.parametrize(
    "change",
    [
        *({"issuer": "http://idp.example"}, {"issuer": "ftp://localhost"}, {"issuer": "https://"}, {"issuer": "https://[broken"}),
        *({"issuer": "https://idp.example?x=1"}, {"issuer": "https://idp.example#x"}, {"issuer": f"https://idp.example/{'x' * 481}"}),
        *({"id": "Corp"}, {"label": ""}, {"label": "x" * 61}, {"client_id": ""}, {"client_id": "x" * 501}, {"scopes": [""]}, {"more": 1}),
    ],
)
def test_a_mistake_in_an_issuers_configuration_is_named_by_its_place(change):
    (name,) = change
    with pytest.raises(ValueError, match=rf"^OidcIssuers: 0\.{name}"):
        parsed(CORP | change)


@pytest.mark.parametrize(("label", "client_id"), [("x" * 60, "x" * 500), ("x", "7")])
def test_an_issuers_name_and_client_may_be_long_or_one_character(label, client_id):
    (found,) = parsed(CORP | {"label": label, "client_id": client_id})

    assert (found.label, found.client_id) == (label, client_id)


@pytest.mark.parametrize("second", [{"issuer": "https://other.example"}, {"id": "other"}])
def test_two_issuers_have_neither_the_same_id_nor_the_same_address(second):
    with pytest.raises(ValueError, match="two issuers have the same id or the same address"):
        parsed(CORP, CORP | second)


def test_a_deployment_has_any_number_of_issuers():
    assert parse_issuers(" ") == ()
    assert len(parsed(CORP, CORP | {"id": "other", "issuer": "https://other.example"})) == 2


def test_a_mistake_in_the_configuration_repeats_no_secret():
    with pytest.raises(ValueError, match="client_secret") as refused:
        parsed(CORP | {"client_secret": ["hunter2"]})

    assert "hunter2" not in f"{refused.value} {refused.value.__cause__}"


@pytest.fixture
def at(configure):
    """Return a function that moves the clock of the issuer's client: `at(30)` seconds after the start."""
    now_s = [0.0]
    configure().clients["corp"]._now_s = lambda: 1000.0 + now_s[0]
    return lambda seconds: now_s.__setitem__(0, seconds)


def test_an_issuers_configuration_is_read_again_after_an_hour(browser, issuer, at):
    counts = []
    for seconds in (0, 3599, 3600):
        at(seconds)
        browser.start()
        counts.append(issuer.fetched.count(DISCOVERY))

    assert counts == [1, 1, 2]


def test_a_key_that_the_issuer_has_withdrawn_is_refused_after_ten_minutes(browser, issuer, at):
    first = error_of(browser.sign_in())
    issuer.published = {"k2": rsa_key("second")}
    codes = []
    for seconds in (599, 600):
        at(seconds)
        codes.append(error_of(browser.sign_in()))

    assert [first, *codes] == ["", "", "oidc_invalid"]


def test_a_known_key_is_not_fetched_with_each_login(browser, issuer, at):
    for seconds in (0, 31):
        at(seconds)
        assert error_of(browser.sign_in()) == ""

    assert issuer.fetched.count("/keys") == 1


def test_a_token_that_names_no_key_needs_an_issuer_with_one_key(browser, issuer, configure):
    issuer.kid = ""
    alone = error_of(browser.sign_in())
    issuer.published |= {"k2": rsa_key("second")}
    configure()

    assert (alone, error_of(browser.sign_in())) == ("", "oidc_invalid")


@pytest.mark.parametrize(
    ("methods", "auth_method", "options"),
    [
        (["client_secret_post"], "client_secret_post", {}),
        (["client_secret_post", "client_secret_basic"], "client_secret_basic", {}),
        ("client_secret_post", "client_secret_basic", {}),
        (["none"], "none", {"client_secret": None}),
        (None, "none", {"client_secret": None}),
    ],
)
def test_the_clients_secret_is_sent_as_the_issuer_accepts_it(browser, issuer, configure, methods, auth_method, options):
    issuer.metadata, issuer.auth_method = {"token_endpoint_auth_methods_supported": methods}, auth_method
    configure(**options)

    assert error_of(browser.sign_in()) == ""


def test_the_clients_secret_may_be_a_reference_that_is_read_again_after_five_minutes(browser, configure):
    store, name, now_s, codes = boto3.client("secretsmanager"), f"corp-{secrets.token_hex(4)}", [0.0], []
    store.create_secret(Name=name, SecretString=SECRET)
    configure(client_secret=f"secret:{name}").clients["corp"]._now_s = lambda: now_s[0]
    for seconds in (0, 299, 300):
        now_s[0] = seconds
        codes.append(error_of(browser.sign_in()))
        store.put_secret_value(SecretId=name, SecretString="another")

    assert codes == ["", "", "oidc_invalid"]


def test_a_secret_that_cannot_be_read_makes_the_issuer_unavailable(browser, configure):
    configure(client_secret="secret:missing")

    assert error_of(browser.sign_in()) == "oidc_unavailable"


def test_the_issuers_own_address_may_have_parameters(browser, issuer, configure):
    issuer.metadata = {"authorization_endpoint": f"{issuer.url}/authorize?tenant=1"}
    configure()

    assert browser.start().startswith(f"{issuer.url}/authorize?tenant=1&response_type=code&")


def test_a_whole_id_token_is_not_completed_by_userinfo(browser, issuer):
    browser.sign_in()

    assert "/userinfo" not in issuer.fetched


@pytest.mark.parametrize("userinfo", [{"sub": "somebody else"}, {"sub": None}, ["no object"]])
def test_userinfo_of_somebody_else_is_refused(browser, issuer, userinfo):
    issuer.userinfo = issuer.person | userinfo if isinstance(userinfo, dict) else userinfo
    issuer.person = {"sub": issuer.person["sub"]}

    assert error_of(browser.sign_in()) == "oidc_invalid"


def test_an_issuer_without_userinfo_must_name_the_address_in_its_token(browser, issuer, configure):
    issuer.metadata = {"userinfo_endpoint": None}
    issuer.person = {"sub": issuer.person["sub"]}
    configure()

    assert error_of(browser.sign_in()) == "oidc_email_unverified"


@pytest.mark.parametrize("answer", [["no object"], {"id_token": 7}, {"access_token": "a"}])
def test_a_token_answer_without_an_id_token_is_refused(browser, issuer, answer):
    issuer.tokens = lambda *_: answer

    assert error_of(browser.sign_in()) == "oidc_invalid"


def test_a_configuration_that_is_no_object_is_refused(auth, issuer, configure):
    issuer.document = lambda: ["no object"]
    configure()

    assert error_of(auth.get("/auth/oidc/corp/start")) == "oidc_invalid"


def test_a_broken_issuer_is_an_error_in_the_log_and_a_cancelled_login_is_not(auth, browser, issuer, caplog):
    browser.sign_in(error="access_denied", code=None)
    refused = caplog.text
    issuer.status = 500
    browser.sign_in()

    assert ("oidc_login_refused" in refused, "oidc_login_failed" in refused) == (True, False)
    assert "oidc_login_failed" in caplog.text
