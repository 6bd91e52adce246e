"""Cookie mode: the refresh token travels in a cookie that scripts cannot read and other origins cannot use."""

from http.cookies import Morsel, SimpleCookie

import pytest

from tests.functions.auth.refresh_tokens import refresh
from tests.support.api_gateway import PASSWORD, Answer, Function, rest_event

COOKIE_MODE = {"X-Session-Mode": "cookie", "Sec-Fetch-Site": "same-origin"}
NAME = "__Secure-parley-refresh"


def cookie_of(answer: Answer) -> Morsel[str]:
    return SimpleCookie(answer.headers["set-cookie"])[NAME]


def cookie_login(auth: Function, person) -> Answer:
    return auth.post("/auth/login", {"email": person.email, "password": PASSWORD}, headers=COOKIE_MODE)


def cookie_refresh(auth: Function, token: str, **headers: str) -> Answer:
    return auth.post("/auth/refresh", {}, headers=COOKIE_MODE | {"Cookie": f"{NAME}={token}"} | headers)


def test_a_login_in_cookie_mode_puts_the_refresh_token_into_the_cookie_only(auth, alice):
    answer = cookie_login(auth, alice)

    assert (answer.status, answer.json["refresh_token"]) == (200, None)
    assert cookie_of(answer).value.startswith("prt_")


def test_only_the_refresh_route_receives_the_cookie_and_no_script_reads_it(auth, alice):
    cookie = cookie_of(cookie_login(auth, alice))

    assert (cookie["httponly"], cookie["secure"], cookie["samesite"].lower()) == (True, True, "strict")
    assert (cookie["path"], cookie["domain"], cookie["max-age"]) == ("/prod/auth/refresh", "", str(30 * 24 * 3600))


def test_behind_a_custom_domain_the_cookies_path_has_no_stage(auth, alice):
    event = rest_event("POST", "/auth/login", {"email": alice.email, "password": PASSWORD}, as_=None, headers=COOKIE_MODE)
    event["requestContext"]["path"] = "/auth/login"

    assert cookie_of(auth.invoke(event))["path"] == "/auth/refresh"


def test_the_cookie_is_exchanged_for_its_successor(auth, alice):
    first = cookie_of(cookie_login(auth, alice)).value
    answer = cookie_refresh(auth, first)

    assert (answer.status, answer.json["refresh_token"]) == (200, None)
    assert cookie_of(answer).value not in (first, "")


def test_a_second_tab_receives_the_same_successor(auth, alice):
    first = cookie_of(cookie_login(auth, alice)).value

    assert cookie_of(cookie_refresh(auth, first)).value == cookie_of(cookie_refresh(auth, first)).value


def test_a_stolen_cookie_that_comes_back_ends_the_session(auth, alice):
    first = cookie_of(cookie_login(auth, alice)).value
    second = cookie_of(cookie_refresh(auth, first)).value
    third = cookie_of(cookie_refresh(auth, second)).value

    assert cookie_refresh(auth, first).json["code"] == "invalid_refresh_token"
    assert cookie_refresh(auth, third).json["code"] == "invalid_refresh_token"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/login"])
def test_another_origin_cannot_use_cookie_mode(auth, alice, site, path):
    token = cookie_of(cookie_login(auth, alice)).value
    body = {} if path == "/auth/refresh" else {"email": alice.email, "password": PASSWORD}
    answer = auth.post(path, body, headers=COOKIE_MODE | {"Sec-Fetch-Site": site, "Cookie": f"{NAME}={token}"})

    assert (answer.status, answer.json["code"]) == (403, "cross_site_request")
    assert "set-cookie" not in answer.headers


def test_without_the_header_of_the_mode_the_cookie_is_ignored(auth, alice):
    token = cookie_of(cookie_login(auth, alice)).value
    answer = auth.post("/auth/refresh", {}, headers={"Cookie": f"{NAME}={token}"})

    assert (answer.status, answer.json["errors"][0]["loc"]) == (422, ["body", "refresh_token"])


def test_cookie_mode_without_a_cookie_ignores_a_token_in_the_body(auth, alice):
    answer = auth.post("/auth/refresh", {"refresh_token": alice.tokens["refresh_token"]}, headers=COOKIE_MODE)

    assert answer.json["code"] == "invalid_refresh_token"
    assert refresh(auth, alice.tokens["refresh_token"]).status == 200


def test_a_logout_in_cookie_mode_deletes_the_cookie(auth, alice):
    cookie = cookie_of(auth.post("/auth/logout", as_=alice, headers=COOKIE_MODE))

    assert (cookie.value, cookie["max-age"], cookie["path"]) == ("", "0", "/prod/auth/refresh")


def test_without_the_mode_no_cookie_is_set(auth, alice):
    answer = auth.post("/auth/login", {"email": alice.email, "password": PASSWORD})

    assert "set-cookie" not in answer.headers


def test_the_gateway_allows_no_other_origin_to_send_the_header(stack_source):
    assert "X-Session-Mode" not in stack_source


@pytest.fixture
def stack_source() -> str:
    """The template's CORS settings."""
    from tests.conftest import ROOT

    return next(line for line in (ROOT / "template.yaml").read_text().splitlines() if "AllowHeaders" in line)
