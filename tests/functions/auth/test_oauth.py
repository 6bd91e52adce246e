"""An MCP client signs its user in: the consent, the code, the tokens, and what each of them refuses."""

import secrets
from datetime import timedelta

import pytest

from tests.fakes.oauth_client import CALLBACK, ISSUER, OAuthApp, holder_of, parameters_of
from tests.functions.auth.refresh_tokens import refresh
from tests.support.api_gateway import PASSWORD


@pytest.fixture
def app(auth):
    """A registered client."""
    return OAuthApp.registered(auth)


def error_of(answer):
    return answer.status, answer.json["error"]


def sessions_of(auth, person):
    return {item["client_name"]: item["id"] for item in auth.get("/auth/sessions", as_=person).json["items"]}


def test_a_client_receives_tokens_for_mcp_only(app, alice):
    tokens = app.tokens(alice, scope="mcp:tools mcp:documents chat account")
    claims = holder_of(tokens["access_token"], alice).claims

    assert (tokens["token_type"], tokens["scope"]) == ("Bearer", "mcp:documents mcp:tools")
    assert (claims["aud"], claims["scope"], claims["sub"]) == ("parley-mcp", "mcp:documents mcp:tools", str(alice.id))


def test_a_client_that_names_no_resource_receives_tokens_for_mcp_only(app, alice):
    tokens = app.exchange(app.code(alice, resource=None), resource=None).json

    assert holder_of(tokens["access_token"], alice).claims["aud"] == "parley-mcp"


def test_without_a_scope_a_client_asks_for_all_of_them(app, alice):
    assert app.tokens(alice, scope=None)["scope"] == "mcp:conversations mcp:documents mcp:tools"


def test_the_answer_names_the_state_and_the_issuer(app, alice):
    redirect = app.consent(alice).json["redirect_to"]

    assert redirect.startswith(f"{CALLBACK}?")
    assert {name: parameters_of(redirect)[name] for name in ("state", "iss")} == {"state": "s/1", "iss": ISSUER}


def test_a_denial_is_reported_and_starts_no_session(auth, app, alice):
    redirect = app.consent(alice, approve=False).json["redirect_to"]

    assert parameters_of(redirect) == {"error": "access_denied", "state": "s/1", "iss": ISSUER}
    assert set(sessions_of(auth, alice)) == {None}


def test_the_page_shows_the_request(auth, app, alice):
    shown = auth.post("/auth/authorizations/preview", {"query": app.query()}, as_=alice).json

    assert shown == {
        "client_name": "Editor",
        "client_host": None,
        "redirect_host": "127.0.0.1",
        "is_local": True,
        "scopes": ["mcp:tools"],
    }


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "+" * 43}, "invalid_request"),
        ({"resource": "https://evil.example/mcp"}, "invalid_target"),
        ({"resource": f"{ISSUER}/chat"}, "invalid_target"),
        ({"scope": "mcp:documents"}, "invalid_scope"),
        ({"scope": "admin"}, "invalid_scope"),
    ],
)
def test_a_wrong_request_is_refused_and_reported_to_the_client(app, alice, changes, error):
    answer = app.consent(alice, **changes)

    assert (answer.status, answer.json["code"], answer.json["error"]) == (422, "authorization_refused", error)
    reported = parameters_of(answer.json["redirect_to"])
    assert (reported["error"], reported["state"], reported["iss"]) == (error, "s/1", ISSUER)


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": f"{CALLBACK}/more"},
        {"redirect_uri": "http://127.0.0.1:33418@evil.example/callback"},
        {"redirect_uri": "http://localhost:33418/callback"},
        {"redirect_uri": "https://127.0.0.1:33418/callback"},
        {"redirect_uri": f"{CALLBACK}#x"},
        {"redirect_uri": None},
        {"client_id": "pcl_AAAA"},
        {"client_id": None},
        {"client_id": "http://client.example/app.json"},
    ],
)
def test_a_request_of_nobody_or_to_a_foreign_address_is_never_sent_back(app, alice, changes):
    answer = app.consent(alice, **changes)

    assert (answer.status, answer.json["code"], answer.json["redirect_to"]) == (422, "authorization_refused", None)


def test_a_repeated_parameter_is_refused(auth, app, alice):
    query = f"{app.query()}&state=other"

    assert auth.post("/auth/authorizations/preview", {"query": query}, as_=alice).json["error"] == "invalid_request"


def test_a_loopback_address_may_have_any_port(app, alice):
    other = "http://127.0.0.1:50123/callback"
    code = app.code(alice, redirect_uri=other)

    assert error_of(app.exchange(code)) == (400, "invalid_grant")
    assert app.exchange(code, redirect_uri=other).status == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": secrets.token_urlsafe(48)}, (400, "invalid_grant")),
        ({"code_verifier": None}, (400, "invalid_request")),
        ({"code_verifier": "v" * 129}, (400, "invalid_grant")),
        ({"redirect_uri": "http://127.0.0.1:1/callback"}, (400, "invalid_grant")),
        ({"resource": "https://evil.example/mcp"}, (400, "invalid_target")),
        ({"code": None}, (400, "invalid_request")),
        ({"code": "A" * 43}, (400, "invalid_grant")),
        ({"code": "not a code"}, (400, "invalid_grant")),
        ({"client_id": None}, (400, "invalid_request")),
        ({"grant_type": None}, (400, "invalid_request")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
    ],
)
def test_a_wrong_exchange_is_refused_and_the_code_still_works_for_its_client(app, alice, changes, error):
    code = app.code(alice)

    assert error_of(app.exchange(code, **changes)) == error
    assert app.exchange(code).status == 200


@pytest.mark.parametrize(("length", "status"), [(128, 200), (129, 400)])
def test_a_verifier_has_128_characters_at_most(app, alice, length, status):
    app.verifier = "v" * length

    assert app.exchange(app.code(alice)).status == status


def test_a_clients_code_is_not_exchanged_for_a_users_tokens(auth, app, alice):
    body = {"code": app.code(alice), "code_verifier": app.verifier}
    answer = auth.post("/auth/oidc/token", body)

    assert (answer.status, answer.json["code"]) == (422, "invalid_code")
    assert app.exchange(body["code"]).status == 200


def test_a_client_without_a_state_receives_none(app, alice):
    assert parameters_of(app.consent(alice, state=None).json["redirect_to"]).keys() == {"code", "iss"}


@pytest.mark.parametrize("resource", [f"{ISSUER}/mcp/", "HTTPS://API.example.com/prod/mcp"])
def test_a_resource_may_be_spelt_in_several_ways(app, alice, resource):
    assert app.exchange(app.code(alice, resource=resource), resource=resource).status == 200


def test_a_request_has_thirty_parameters_at_most(auth, app, alice):
    query = app.query()
    more = "".join(f"&p{number}=x" for number in range(30 - query.count("=")))
    answers = [auth.post("/auth/authorizations/preview", {"query": query + added}, as_=alice) for added in (more, f"{more}&last=x")]

    assert [answer.status for answer in answers] == [200, 422]


def test_a_parameter_with_nul_is_refused(auth, app, alice):
    query = app.query(state="a\0b")

    assert auth.post("/auth/authorizations/preview", {"query": query}, as_=alice).json["error"] == "invalid_request"


def test_a_code_works_for_its_own_client_only(auth, app, alice):
    stranger = OAuthApp.registered(auth, name="Stranger")

    assert error_of(app.exchange(app.code(alice), client_id=stranger.client_id)) == (400, "invalid_grant")


def test_the_log_says_why_a_code_is_refused_and_the_answer_does_not(app, alice, caplog):
    caplog.set_level("INFO")
    answer = app.exchange("not a code")

    assert [record.reason for record in caplog.records if record.getMessage() == "request_refused"] == ["invalid_grant: malformed"]
    assert "malformed" not in answer.json["error_description"]


def test_a_code_expires_after_a_minute(app, alice, clock):
    code = app.code(alice)
    clock.shift(timedelta(minutes=1))

    assert error_of(app.exchange(code)) == (400, "invalid_grant")


def test_a_code_that_comes_back_ends_the_session(auth, app, alice):
    code = app.code(alice)
    tokens = app.exchange(code).json

    assert error_of(app.exchange(code)) == (400, "invalid_grant")
    assert error_of(app.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    assert "Editor" not in sessions_of(auth, alice)
    assert "authorization_code_reused" in [item["event"] for item in auth.get("/auth/audit", as_=alice).json["items"]]


@pytest.mark.parametrize("end", ["logout", "password"])
def test_a_code_dies_with_the_sessions_of_its_user(auth, app, alice, end):
    code = app.code(alice)
    if end == "logout":
        auth.post("/auth/logout", {"everywhere": True}, as_=alice)
    else:
        auth.post("/auth/password", {"current_password": PASSWORD, "new_password": "another long pass phrase"}, as_=alice)

    assert error_of(app.exchange(code)) == (400, "invalid_grant")


def test_a_code_of_a_disabled_account_is_refused(app, alice, postgres):
    code = app.code(alice)
    postgres.execute(f"UPDATE users SET disabled_at = now() WHERE id = '{alice.id}'", dbname="parley")

    assert error_of(app.exchange(code)) == (400, "invalid_grant")


def test_refresh_tokens_rotate_and_reuse_ends_the_session(app, alice, clock):
    first = app.tokens(alice)["refresh_token"]
    second = app.refresh(first)
    clock.shift(timedelta(seconds=11))

    assert (second.status, second.json["scope"]) == (200, "mcp:tools")
    assert error_of(app.refresh(first)) == (400, "invalid_grant")
    assert error_of(app.refresh(second.json["refresh_token"])) == (400, "invalid_grant")


def test_a_refresh_token_works_for_its_own_client_only(auth, app, alice):
    token = app.tokens(alice)["refresh_token"]
    stranger = OAuthApp.registered(auth, name="Stranger")

    assert error_of(stranger.refresh(token)) == (400, "invalid_grant")
    assert error_of(app.refresh(token, resource="https://evil.example/mcp")) == (400, "invalid_target")
    assert app.refresh(token).status == 200


def test_a_clients_token_is_not_exchanged_for_a_users_nor_the_reverse(auth, app, alice):
    clients, users = app.tokens(alice)["refresh_token"], alice.tokens["refresh_token"]
    exchanged = [refresh(auth, clients), refresh(auth, clients.replace("pcr_", "prt_"))]
    refused = [app.refresh(users), app.refresh(users.replace("prt_", "pcr_"))]

    assert [answer.status for answer in exchanged] == [401, 401]
    assert [error_of(answer) for answer in refused] == [(400, "invalid_grant")] * 2


def test_the_user_sees_the_client_among_the_sessions_and_ends_it(auth, app, alice):
    token = app.tokens(alice)["refresh_token"]
    auth.delete(f"/auth/sessions/{sessions_of(auth, alice)['Editor']}", as_=alice)

    assert error_of(app.refresh(token)) == (400, "invalid_grant")


def test_a_client_ends_its_own_session(auth, app, alice):
    token = app.tokens(alice)["refresh_token"]
    stranger = app.post("/oauth/revoke", {"token": token, "client_id": "somebody else"})
    kept = set(sessions_of(auth, alice))
    revoked = app.post("/oauth/revoke", {"token": token, "client_id": app.client_id})

    assert (stranger.status, revoked.status, kept) == (200, 200, {None, "Editor"})
    assert set(sessions_of(auth, alice)) == {None}
    assert app.post("/oauth/revoke", {"token": "unknown", "client_id": app.client_id}).status == 200


def test_an_access_token_cannot_be_revoked(app, alice):
    answer = app.post("/oauth/revoke", {"token": app.tokens(alice)["access_token"], "client_id": app.client_id})

    assert error_of(answer) == (400, "unsupported_token_type")


@pytest.mark.parametrize("route", ["/auth/authorizations", "/auth/authorizations/preview"])
def test_a_clients_token_consents_to_nothing(auth, app, alice, route):
    holder = holder_of(app.tokens(alice)["access_token"], alice)

    assert auth.post(route, {"query": app.query(), "approve": True}, as_=holder).status == 403
