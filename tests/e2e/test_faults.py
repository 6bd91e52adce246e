import os
import signal
import time
from datetime import timedelta

import pytest

from tests.fakes.vendor import streams
from tests.support.time_limits import HANG_S

GARBLED = ["Bearer x", "Bearer a.b.c", "Bearer", "Basic dXNlcjpwYXNz", "x" * 3000]


def is_problem(answer, status, code):
    document = answer.json()
    named = {"type", "title", "status", "detail", "code", "request_id"} <= set(document)
    right = (answer.status_code, document["status"], document["code"]) == (status, status, code)
    same_id = document["request_id"] == answer.headers["x-request-id"]
    return named and right and same_id and answer.headers["content-type"] == "application/problem+json"


def test_a_missing_token_is_401(stack):
    assert is_problem(stack.http.get("/auth/me"), 401, "unauthorized")


@pytest.mark.parametrize("header", GARBLED)
def test_a_garbled_token_is_401(stack, header):
    assert is_problem(stack.http.get("/auth/me", headers={"Authorization": header}), 401, "unauthorized")


def test_an_expired_token_is_401(stack, ada):
    """The token is signed by the stack's own key, an hour ago."""
    import json

    import jwt

    from parley.auth.access_tokens import issue_token
    from parley.auth.principal import USER_SCOPES, Principal
    from parley.auth.signing_keys import SigningKey
    from parley.clock import utc_now

    kept = json.loads((stack.data / "aws" / "ssm.json").read_text())
    text, *_ = [versions[-1]["value"] for one in kept for name, versions in one["parameters"].items() if "/keys/signing/" in name]
    claims = jwt.decode(ada.headers["Authorization"].split()[1], options={"verify_signature": False})
    mine, key = Principal.from_claims(claims), SigningKey.from_json(text)
    for age, status in ((timedelta(0), 200), (timedelta(hours=1), 401)):
        token = issue_token(mine.user_id, mine.session_id, USER_SCOPES, key=key, issuer=claims["iss"], now=utc_now() - age)
        assert stack.http.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == status


@pytest.mark.parametrize(("method", "path"), [("GET", "/nope"), ("DELETE", "/auth/login"), ("GET", "/auth/login/x"), ("POST", "/")])
def test_an_unknown_route_is_404(stack, method, path):
    assert is_problem(stack.http.request(method, path), 404, "route_not_found")


def test_malformed_json_is_400(stack):
    assert is_problem(stack.http.post("/auth/login", content=b'{"email": '), 400, "malformed_body")


def test_a_body_that_is_not_utf_8_is_no_server_error(stack):
    assert stack.http.post("/auth/login", content=b'{"email": "\xff\xfe"}').status_code in (400, 422)


def test_a_body_over_the_routes_limit_is_413(stack):
    assert is_problem(stack.http.post("/auth/login", json={"email": "x" * 300_000}), 413, "body_too_large")


def test_a_body_over_the_gateways_limit_is_413(stack):
    assert is_problem(stack.http.post("/auth/login", content=b" " * (10 * 1024 * 1024 + 1)), 413, "body_too_large")


def test_an_unknown_field_is_422(ada):
    assert is_problem(ada.post("/conversations", {"owner": "me"}), 422, "invalid_input")


def test_a_refused_chat_stores_nothing(ada):
    ada.post("/chat", {"message": "hello", "nonsense": True})

    assert ada.get("/conversations").json()["items"] == []


def test_a_page_of_another_origin_may_call(stack):
    asked = stack.http.options("/chat", headers={"Origin": "https://page.example", "Access-Control-Request-Method": "POST"})

    assert asked.headers["access-control-allow-origin"] == "*"
    assert "POST" in asked.headers["access-control-allow-methods"]


def test_a_database_that_is_killed_comes_back_and_so_does_the_stack(fault_stack, vendor):
    vendor.script = streams("still here")
    ada, postgres = fault_stack.register(), fault_stack.status()["services"]["postgres"]
    os.kill(postgres["pid"], signal.SIGKILL)
    statuses = answers_until(
        lambda: ada.get("/conversations"),
        200,
        and_until=lambda: fault_stack.status()["services"]["postgres"]["restarts"] > postgres["restarts"],
    )
    # The processes of the database that outlived it may have answered meanwhile; after them, it is away once more.
    statuses += answers_until(lambda: ada.post("/chat", {"message": "hello", "stream": False}), 200)

    assert set(statuses) <= {200, 503}
    assert statuses[-1] == 200


def test_a_database_that_is_away_is_a_503_with_a_time_to_retry(fault_stack):
    ada = fault_stack.register()
    fault_stack.stop_postgres()
    answer = ada.get("/conversations")

    assert is_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    fault_stack.restore_postgres()
    assert 200 in answers_until(lambda: ada.get("/conversations"), 200)


def answers_until(ask, status, *, and_until=lambda: True, limit_s=HANG_S):
    statuses, ends = [], time.monotonic() + limit_s
    while time.monotonic() < ends and not (statuses[-1:] == [status] and and_until()):
        statuses.append(ask().status_code)
        time.sleep(0.05)
    return statuses
