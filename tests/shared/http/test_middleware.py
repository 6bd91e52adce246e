import json

import pytest
from fastapi import APIRouter, Response
from pydantic import ValidationError

from parley.errors import Forbidden, NotFound, ParleyError, Unavailable
from parley.http.app import create_app
from parley.http.lambda_entry import buffered_handler
from parley.http.schemas import ForgivingInput, Input
from parley.settings import HttpSettings
from tests.support.api_gateway import Function, rest_event

router = APIRouter()


class Body(Input):
    name: str
    number: int = 0


@router.post("/echo")
def echo(body: Body) -> Body:
    return body


@router.get("/pages/own-policy")
def own_policy() -> Response:
    return Response("a page", headers={"Referrer-Policy": "same-origin"})


@router.get("/{kind}")
def fail(kind: str) -> None:
    errors = {
        "missing": NotFound("thing", 7),
        "denied": Forbidden("no scope"),
        "away": Unavailable("database", retry_after_s=1.2),
        "bug": ValueError("secret detail"),
        "broken": ParleyError("a row of another version"),
    }
    raise errors[kind]


@pytest.fixture
def app():
    return Function(buffered_handler(create_app(router, settings=HttpSettings(allowed_origin="https://page.example"), body_limit=1024)))


def test_a_domain_error_is_a_problem_document(app):
    answer = app.get("/missing")

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json | {"request_id": ""} == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no such thing.",
        "code": "not_found",
        "request_id": "",
    }


def test_every_response_has_the_gateways_request_id(app):
    good, bad = app.post("/echo", {"name": "a"}), app.get("/missing")

    assert good.headers["x-request-id"]
    assert bad.headers["x-request-id"] == bad.json["request_id"]


@pytest.mark.parametrize(("scheme", "header"), [("https", "max-age=31536000"), ("http", None)])
def test_browsers_are_told_to_stay_with_https(app, scheme, header):
    answers = [app.get(path, headers={"X-Forwarded-Proto": scheme}) for path in ("/missing", "/bug")]

    assert [answer.headers.get("strict-transport-security") for answer in answers] == [header] * 2


def test_pages_of_the_allowed_origin_can_read_responses_and_errors(app):
    assert {app.post("/echo", body).headers["access-control-allow-origin"] for body in ({"name": "a"}, {})} == {"https://page.example"}


def test_pages_of_several_origins_can_read_responses():
    settings = HttpSettings(allowed_origin="https://a.example,https://b.example")
    app = Function(buffered_handler(create_app(router, settings=settings, body_limit=1024)))
    answers = [app.get("/missing", headers={"Origin": f"https://{name}.example"}) for name in ("a", "b", "evil")]

    assert [answer.headers["access-control-allow-origin"] for answer in answers] == [
        "https://a.example",
        "https://b.example",
        "https://a.example",
    ]
    assert {answer.headers["vary"] for answer in answers} == {"Origin"}


def test_pages_can_read_the_headers_that_clients_act_on(app):
    exposed = app.get("/away").headers["access-control-expose-headers"].split(",")

    assert {"X-Request-Id", "Retry-After", "WWW-Authenticate", "X-Should-Retry"} <= set(exposed)


def test_an_unexpected_error_is_hidden_from_the_client_and_logged_in_full(app, caplog):
    answer = app.get("/bug")

    assert (answer.status, answer.json["code"]) == (500, "server_error")
    assert "secret detail" not in answer.body.decode()
    assert "secret detail" in caplog.text


def test_an_unavailable_service_sends_retry_after(app):
    answer = app.get("/away")

    assert (answer.status, answer.headers["retry-after"]) == (503, "2")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"])
def test_a_body_is_parsed_as_json_despite_its_content_type(app, kind):
    assert app.post("/echo", {"name": "a"}, headers={"Content-Type": kind}).status == 200


def test_a_body_that_cannot_be_read_is_400(app):
    event = rest_event("POST", "/echo", "//79", as_=None, headers={}) | {"isBase64Encoded": True}

    assert app.invoke(event).json["code"] == "malformed_body"


def test_malformed_json_is_400(app):
    assert (app.post("/echo", "{").status, app.post("/echo", "{").json["code"]) == (400, "malformed_body")


@pytest.mark.parametrize("body", [{}, {"name": 3}, {"name": "a", "extra": 1}, {"name": "a", "number": "3"}, [], "null", '"text"', "3"])
def test_an_invalid_body_is_422_and_names_the_location(app, body):
    answer = app.post("/echo", body)

    assert (answer.status, answer.json["code"]) == (422, "invalid_input")
    assert answer.json["errors"][0]["loc"][0] == "body"


def test_the_refused_value_is_not_repeated(app):
    assert "hunter2" not in app.post("/echo", {"name": ["hunter2"]}).body.decode()


def test_a_body_over_the_limit_is_413(app):
    answer = app.post("/echo", json.dumps({"name": "x" * 1024}))

    assert (answer.status, answer.json["code"]) == (413, "body_too_large")


def test_a_body_at_the_limit_passes(app):
    body = json.dumps({"name": "x" * 1000})

    assert app.post("/echo", body + " " * (1024 - len(body))).status == 200


def test_a_body_has_256_kibibytes_at_most_unless_its_function_takes_more():
    app, body = Function(buffered_handler(create_app(router, settings=HttpSettings(allowed_origin="*")))), '{"name": "a"}'

    assert [app.post("/echo", body.ljust(size)).status for size in (262_144, 262_145)] == [200, 413]


def test_deeply_nested_json_is_not_a_server_error(app):
    assert app.post("/echo", "[" * 400 + "]" * 400).status in (400, 422)


def test_lone_surrogates_are_refused(app):
    assert app.post("/echo", r'{"name": "\ud800"}').status == 422


def test_an_unknown_route_is_404(app):
    assert app.get("/a/b").json["code"] == "not_found"


def test_a_slash_too_many_is_not_redirected(app):
    assert app.post("/echo/", {"name": "a"}).status == 404


def test_a_crash_is_logged_once(app, caplog):
    app.get("/bug")

    assert caplog.text.count("request_crashed") == 1


@pytest.mark.parametrize(
    ("path", "event", "code"),
    [
        ("/denied", "request_refused", "forbidden"),
        ("/away", "request_failed", "unavailable"),
        ("/broken", "request_failed", "server_error"),
    ],
)
def test_a_refusal_or_a_failure_is_logged_once_with_its_code(app, caplog, path, event, code):
    caplog.set_level("INFO")
    app.get(path)

    assert [(record.getMessage(), record.problem) for record in caplog.records if hasattr(record, "problem")] == [(event, code)]


def test_a_wrong_method_is_405(app):
    assert app.delete("/echo").status == 405


def test_nothing_is_cached_or_sniffed(app):
    headers = app.post("/echo", {"name": "a"}).headers

    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_a_response_that_a_browser_shows_runs_and_loads_nothing_and_cannot_be_framed(app):
    for answer in (app.post("/echo", {"name": "a"}), app.get("/a/b")):
        policy = answer.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(policy)
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_header_of_the_response_itself_replaces_the_standard_one(app):
    assert app.get("/pages/own-policy").headers["referrer-policy"] == "same-origin"


def test_a_validation_error_shows_a_bounded_number_of_short_locations(app):
    fields = {"x" * 200: 1} | {str(number): 1 for number in range(80)}
    errors = app.post("/echo", fields).json["errors"]

    assert max(len(str(step)) for error in errors for step in error["loc"]) == 100


def test_a_body_with_very_many_values_is_refused_before_it_is_validated():
    with pytest.raises(ValidationError) as refusal:
        Body.model_validate({str(number): 1 for number in range(30_000)})

    assert [error["type"] for error in refusal.value.errors()] == ["too_many_values"]


@pytest.fixture
def roomy_app():
    return Function(buffered_handler(create_app(router, settings=HttpSettings(allowed_origin="*"), body_limit=4_000_000)))


def test_a_body_with_very_many_keys_is_refused_before_it_is_parsed(roomy_app):
    """The body is not even JSON: its end is missing."""
    answer = roomy_app.post("/echo", '[{"a":' + '0},{"a":' * 50_001)

    assert (answer.status, answer.json["code"]) == (422, "invalid_input")
    assert answer.json["errors"] == [{"loc": ["body"], "msg": "the body has too many values; send fewer or shorter lists"}]


def test_keys_inside_a_text_do_not_count(roomy_app):
    assert roomy_app.post("/echo", {"name": '{"a":0}' * 60_000}).status == 200


def test_an_uploaded_file_may_have_very_many_keys(roomy_app):
    answer = roomy_app.post("/echo", '"a":' * 60_000, headers={"Content-Type": "multipart/form-data; boundary=x"})

    assert "too many values" not in answer.body.decode()


class ForgivingBody(ForgivingInput):
    name: str
    items: list[str]


def test_a_forgiving_body_with_very_many_values_is_refused_before_its_texts_are_read():
    with pytest.raises(ValidationError) as refusal:
        ForgivingBody.model_validate({"name": "a", "items": ["\0"] * 60_000})

    assert [error["type"] for error in refusal.value.errors()] == ["too_many_values"]


def test_a_forgiving_body_with_too_many_levels_is_refused():
    items = ["a"]
    for _ in range(40):
        items = [items]
    with pytest.raises(ValidationError) as refusal:
        ForgivingBody.model_validate({"name": "a", "items": items})

    assert [error["type"] for error in refusal.value.errors()] == ["too_deep"]
