"""Login by OpenID Connect: the way to the issuer and back, and every lie of an issuer."""

from datetime import timedelta
from http.cookies import SimpleCookie

import pytest

from functions.auth.oidc.login import BrowserStep
from parley.auth.one_time_codes import OneTimeCode
from tests.fakes.oidc_issuer import (
    FakeIssuer,
    error_of,
    person,
    refresh_token_of,
    rsa_key,
    serving_issuer,
    signed_by_the_public_key,
    unsigned,
)
from tests.functions.auth.refresh_tokens import refresh
from tests.support.api_gateway import Person

LOOPBACK = "http://127.0.0.1:33418/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B


def user_of(auth, answer):
    """Return the user of the session that the page receives by its cookie."""
    return refresh(auth, refresh_token_of(answer)).json["user"]


def test_the_page_lists_the_issuers(auth, browser):
    listed = [{"id": "corp", "label": "Corp"}]

    assert auth.get("/auth/oidc").json == {"password_login": True, "passkey_rp_id": "example.com", "issuers": listed}


def test_the_browser_is_sent_to_the_issuer_with_pkce(browser, issuer):
    address = browser.start()

    assert address.startswith(f"{issuer.url}/authorize?")
    assert (issuer.asked["response_type"], issuer.asked["code_challenge_method"], issuer.asked["client_id"]) == ("code", "S256", "parley")
    assert issuer.asked["redirect_uri"] == "https://api.example.com/prod/auth/oidc/corp/callback"


def test_a_first_login_makes_an_account_and_the_next_finds_it(auth, browser, issuer):
    first, second = (user_of(auth, browser.sign_in()) for _ in range(2))

    assert (first["email"], first["display_name"], first["role"]) == (issuer.person["email"], "Ada", "user")
    assert first["id"] == second["id"]


def test_the_page_receives_the_refresh_cookie_and_no_token_in_its_address(browser):
    answer = browser.sign_in()
    cookie = SimpleCookie(answer.headers["set-cookie"])["__Secure-parley-refresh"]

    assert answer.headers["location"] == "/prod/"
    assert (cookie["path"], cookie["samesite"].lower(), cookie["httponly"]) == ("/prod/auth/refresh", "strict", True)


def test_a_login_is_bound_to_its_browser_by_a_cookie_that_no_script_reads(auth, browser):
    (cookie,) = SimpleCookie(auth.get("/auth/oidc/corp/start").headers["set-cookie"]).values()

    assert (cookie["httponly"], cookie["secure"], cookie["samesite"], cookie["path"], cookie["max-age"]) == (True, True, "lax", "/", "600")


def test_a_known_identity_needs_no_address(auth, browser, issuer):
    first = user_of(auth, browser.sign_in())
    issuer.person = {"sub": issuer.person["sub"]}
    issuer.userinfo = issuer.person

    assert user_of(auth, browser.sign_in())["id"] == first["id"]


def test_a_short_id_token_is_completed_by_userinfo(auth, browser, issuer):
    issuer.userinfo = issuer.person
    issuer.person = {"sub": issuer.person["sub"]}

    assert user_of(auth, browser.sign_in())["email"] == issuer.userinfo["email"]


def changed(**changes):
    """Return an edit of a token's claims; None removes a claim."""
    return {"change": lambda claims: {name: value for name, value in (claims | changes).items() if value is not None}}


LIES = {
    "an unsigned token": {"forge": unsigned},
    "an HMAC with its public key": {"forge": signed_by_the_public_key},
    "an HMAC with a secret of its own": {"algorithm": "HS256", "key": "k" * 64},
    "half a token": {"forge": lambda token: token.rpartition(".")[0]},
    "a key that it does not publish": {"key": rsa_key("other")},
    "a kid that it does not publish": {"kid": "k9"},
    "a critical extension": {"headers": {"crit": ["x"], "x": 1}},
    "a critical extension that PyJWT knows": {"headers": {"crit": ["b64"], "b64": True}},
    "a logout token as ID token": {"headers": {"typ": "logout+jwt"}},
    "another issuer": changed(iss="https://evil.example"),
    "no issuer": changed(iss=None),
    "another audience": changed(aud="somebody"),
    "no audience": changed(aud=None),
    "a second audience": changed(aud=["parley", "somebody"]),
    "another party": changed(azp="somebody"),
    "another nonce": changed(nonce="n"),
    "no nonce": changed(nonce=None),
    "an expired token": changed(exp=1_000_000_000),
    "no expiry": changed(exp=None),
    "a token from the future": changed(iat=4_000_000_000, exp=4_000_000_300),
    "a token of long ago": changed(iat=1_000_000_000),
    "no time of issue": changed(iat=None),
    "no subject": changed(sub=None),
    "a subject that is no text": changed(sub=7),
    "another access token": changed(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "another issuer in its discovery document": {"metadata": {"issuer": "https://evil.example"}},
    "an endpoint that is no address": {"metadata": {"token_endpoint": "https://[broken"}},
    "an endpoint without TLS": {"metadata": {"token_endpoint": "http://issuer.example/token"}},
    "keys that are none": {"metadata": {"jwks_uri": "{url}/userinfo"}},
}


@pytest.mark.parametrize("lie", LIES)
def test_no_lie_of_an_issuer_signs_anybody_in(browser, issuer, lie):
    for name, value in LIES[lie].items():
        setattr(issuer, name, value)
    issuer.metadata = {name: value.replace("{url}", issuer.url) for name, value in issuer.metadata.items()}
    is_about_discovery = "issuer" in issuer.metadata or "token_endpoint" in issuer.metadata
    answer = browser.auth.get("/auth/oidc/corp/start") if is_about_discovery else browser.sign_in()

    assert error_of(answer) == "oidc_invalid"
    assert "__Secure-parley-refresh" not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "https://evil.example"}, "oidc_invalid"),
        ({"code": None}, "oidc_invalid"),
        ({"code": "another code"}, "oidc_invalid"),
        ({"error": "access_denied", "code": None}, "oidc_refused"),
        ({"state": "another state"}, "oidc_login_expired"),
        ({"state": None}, "oidc_login_expired"),
    ],
)
def test_a_wrong_answer_is_refused(browser, changes, code):
    assert error_of(browser.sign_in(**changes)) == code


@pytest.mark.parametrize(("names_itself", "code"), [(False, ""), (True, "oidc_invalid")])
def test_an_answer_without_an_issuer_is_refused_if_the_issuer_names_itself(browser, issuer, names_itself, code):
    issuer.metadata = {"authorization_response_iss_parameter_supported": names_itself}

    assert error_of(browser.sign_in(iss=None)) == code


def test_the_answer_of_another_issuer_is_refused(browser, issuer, configure):
    with serving_issuer(FakeIssuer(person=person())) as other:
        configure(other)
        browser.start()
        browser.id = "other"

        assert error_of(browser.finish(iss=None)) == "oidc_invalid"


def test_a_step_of_a_login_does_not_show_its_secrets():
    assert (
        repr(BrowserStep("https://issuer.example", browser="secret", tokens="secret")) == "BrowserStep(location='https://issuer.example')"
    )


def test_a_state_works_once(browser):
    assert error_of(browser.sign_in()) == ""
    assert error_of(browser.finish()) == "oidc_login_expired"


def test_a_state_expires(browser, clock):
    browser.start()
    clock.shift(timedelta(minutes=10))

    assert error_of(browser.finish()) == "oidc_login_expired"


def test_a_state_works_in_its_own_browser_only(browser):
    browser.start()
    browser.cookie = "another browser"

    assert error_of(browser.finish()) == "oidc_login_expired"


def test_two_tabs_of_a_browser_may_log_in_at_once(browser, issuer):
    browser.start()
    first = issuer.asked
    browser.start()

    assert error_of(browser.finish()) == ""
    issuer.asked = first
    assert error_of(browser.finish()) == ""


def test_a_new_key_is_fetched_and_an_invented_one_not_again_and_again(browser, issuer):
    browser.sign_in()
    issuer.key, issuer.kid, issuer.published = rsa_key("second"), "k2", {"k2": rsa_key("second")}
    codes = [error_of(browser.sign_in()) for _ in range(3)]

    assert codes == ["oidc_invalid"] * 3
    assert issuer.fetched.count("/keys") == 1


def test_a_new_key_is_fetched_after_half_a_minute(browser, issuer, configure):
    now_s = [1000.0]
    client = configure().clients["corp"]
    client._now_s = lambda: now_s[0]
    browser.sign_in()
    issuer.key, issuer.kid, issuer.published = rsa_key("second"), "k2", {"k2": rsa_key("second")}
    now_s[0] += 30

    assert error_of(browser.sign_in()) == ""


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_issuer_that_is_broken_or_redirects_is_named(browser, issuer, status):
    issuer.status = status

    expected = {302: "oidc_unavailable", 404: "oidc_invalid", 500: "oidc_unavailable"}[status]
    assert error_of(browser.auth.get("/auth/oidc/corp/start")) == expected
    assert issuer.fetched == ["/.well-known/openid-configuration"]


def test_an_issuer_that_is_not_configured_is_not_found(auth, browser):
    assert auth.get("/auth/oidc/nobody/start").status == 404
    assert auth.get("/auth/oidc/nobody/callback?state=s").status == 404


def test_a_program_receives_its_tokens_at_a_loopback_address(auth, browser, issuer):
    browser.start(redirect_uri=LOOPBACK, code_challenge=CHALLENGE)
    location = browser.finish().headers["location"]
    code = location.removeprefix(f"{LOOPBACK}?code=")
    tokens = auth.post("/auth/oidc/token", {"code": code, "code_verifier": VERIFIER}).json

    assert auth.get("/auth/me", as_=Person.of("", tokens)).json["email"] == issuer.person["email"]
    assert refresh(auth, tokens["refresh_token"]).status == 200


@pytest.mark.parametrize("reason", ["another verifier", "another code", "used", "late"])
def test_a_programs_code_works_once_for_a_minute_with_its_verifier(auth, browser, clock, reason):
    browser.start(redirect_uri=LOOPBACK, code_challenge=CHALLENGE)
    code = browser.finish().headers["location"].removeprefix(f"{LOOPBACK}?code=")
    if reason == "used":
        auth.post("/auth/oidc/token", {"code": code, "code_verifier": VERIFIER})
    clock.shift(timedelta(minutes=1) if reason == "late" else timedelta())
    verifier = "x" * 43 if reason == "another verifier" else VERIFIER
    sent = str(OneTimeCode(OneTimeCode.parse(code).owner_id, bytes(16))) if reason == "another code" else code
    answer = auth.post("/auth/oidc/token", {"code": sent, "code_verifier": verifier})

    assert (answer.status, answer.json["code"]) == (422, "invalid_code")


def test_a_program_learns_of_an_error_at_its_own_address(browser):
    browser.start(redirect_uri=LOOPBACK, code_challenge=CHALLENGE)

    assert browser.finish(error="access_denied").headers["location"] == f"{LOOPBACK}?error=oidc_refused"


@pytest.mark.parametrize("address", ["https://evil.example/", "http://evil.example/", "http://127.0.0.1@evil.example/", "javascript:1"])
def test_a_code_is_sent_to_no_foreign_address(auth, browser, address):
    query = f"redirect_uri={address}&code_challenge={CHALLENGE}"

    assert auth.get(f"/auth/oidc/corp/start?{query}").status == 422


PARTS = [
    f"redirect_uri={LOOPBACK}",
    f"code_challenge={CHALLENGE}",
    *(f"redirect_uri={LOOPBACK}&code_challenge={x}" for x in ("x", "%00" * 43)),
]


@pytest.mark.parametrize("query", PARTS)
def test_a_program_names_both_its_address_and_its_challenge(auth, browser, query):
    assert auth.get(f"/auth/oidc/corp/start?{query}").status == 422
