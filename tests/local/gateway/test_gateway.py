"""The gateway over HTTP: events, routes, limits."""

import base64
import json
import re
import uuid
from typing import Any

import httpx2
import pytest

from local.runtime.invocation import Invocation
from tests.local.running_emulator import RunningEmulator, eventually


def event_of(running: RunningEmulator, method: str = "GET", path: str = "/echo", **options: Any) -> dict[str, Any]:
    event: dict[str, Any] = running.client.request(method, path, **options).json()
    return event


EVENT = """resource path httpMethod headers multiValueHeaders queryStringParameters multiValueQueryStringParameters
    pathParameters stageVariables requestContext body isBase64Encoded"""
CONTEXT = """accountId apiId domainName domainPrefix extendedRequestId httpMethod identity path protocol requestId
    requestTime requestTimeEpoch resourceId resourcePath stage"""
IDENTITY = """accessKey accountId caller cognitoAuthenticationProvider cognitoAuthenticationType cognitoIdentityId
    cognitoIdentityPoolId principalOrgId sourceIp user userAgent userArn"""


def test_an_event_has_every_field_that_aws_documents(running: RunningEmulator) -> None:
    event = event_of(running)

    assert sorted(event) == sorted(EVENT.split())
    assert sorted(event["requestContext"]) == sorted(CONTEXT.split())
    assert sorted(event["requestContext"]["identity"]) == sorted(IDENTITY.split())


def test_an_event_tells_the_request(running: RunningEmulator) -> None:
    event = event_of(running, "POST", "/echo?a=1&a=%20&b=", content=b"hi", headers=[("X-Twice", "1"), ("x-twice", "2")])

    assert (event["httpMethod"], event["path"], event["requestContext"]["path"]) == ("POST", "/echo", "/echo")
    assert event["queryStringParameters"] == {"a": " ", "b": ""}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", " "], "b": [""]}
    assert (event["headers"]["X-Twice"], event["multiValueHeaders"]["X-Twice"]) == ("2", ["1", "2"])
    assert (event["body"], event["isBase64Encoded"]) == ("hi", False)


def test_what_is_not_there_is_null(running: RunningEmulator) -> None:
    event = event_of(running)
    empty = ("body", "pathParameters", "queryStringParameters", "multiValueQueryStringParameters", "stageVariables")

    assert [event[name] for name in empty] == [None] * 5


def test_the_peer_is_believed_and_the_header_only_passed_on(running: RunningEmulator) -> None:
    event = event_of(running, headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "ftp"})

    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
    assert event["headers"]["X-Forwarded-For"] == "203.0.113.9, 127.0.0.1"
    assert event["headers"]["X-Forwarded-Proto"] == "http"


def test_binary_types_reach_the_function_as_base64(running: RunningEmulator) -> None:
    binary = event_of(running, "POST", content=b"\xff\x00", headers={"Content-Type": "multipart/form-data; boundary=x"})
    text = event_of(running, "POST", content=b"\xff\x00a", headers={"Content-Type": "application/octet-stream"})

    assert (base64.b64decode(binary["body"]), binary["isBase64Encoded"]) == (b"\xff\x00", True)
    assert (text["body"], text["isBase64Encoded"]) == ("\ufffd\x00a", False)


def test_every_answer_carries_the_request_id(running: RunningEmulator) -> None:
    answer = running.get("/echo")

    assert answer.headers["x-amzn-requestid"] == answer.json()["requestContext"]["requestId"]
    assert uuid.UUID(running.get("/nowhere").headers["x-amzn-requestid"])


@pytest.mark.parametrize(
    ("path", "resource"), [("/things/special", "/things/special"), ("/things/5", "/things/{id}"), ("/things/5/6", "/things/{rest+}")]
)
def test_fixed_routes_come_before_variables(running: RunningEmulator, path: str, resource: str) -> None:
    assert event_of(running, "GET", path)["resource"] == resource


def test_path_parameters_are_decoded_and_the_path_is_not(running: RunningEmulator) -> None:
    event = event_of(running, "GET", "/things/caf%C3%A9%20x")

    assert event["pathParameters"] == {"id": "café x"}
    assert event["path"] == "/things/caf%C3%A9%20x"


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("POST", "/closed"), ("HEAD", "/closed"), ("GET", "/test/echo")])
def test_an_unknown_route_is_answered_in_the_templates_words(running: RunningEmulator, method: str, path: str) -> None:
    answer = running.client.request(method, path)

    assert answer.status_code == 404
    assert answer.content == (b"" if method == "HEAD" else b'{"code":"route_not_found"}')


def test_a_preflight_is_answered_without_a_function(running: RunningEmulator) -> None:
    answer = running.client.options("/closed", headers={"Origin": "http://x", "Access-Control-Request-Method": "GET"})

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-max-age"] == "600"


def test_past_the_burst_a_route_is_throttled(running: RunningEmulator) -> None:
    answers = [running.get("/limited") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["code"] == "THROTTLED"
    assert answers[2].headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("size", [10 * 1024 * 1024 + 1, 7_000_000])
def test_a_body_past_the_gateways_or_lambdas_limit_is_refused(running: RunningEmulator, size: int) -> None:
    answer = running.post("/echo", content=b"x" * size)

    assert (answer.status_code, answer.json()["code"]) == (413, "REQUEST_TOO_LARGE")


def test_a_body_within_the_limits_arrives(running: RunningEmulator) -> None:
    assert len(event_of(running, "POST", content=b"x" * 2_900_000)["body"]) == 2_900_000


def test_an_answer_may_set_status_headers_and_cookies(running: RunningEmulator) -> None:
    shape = {"statusCode": 404, "headers": {"X-A": "1"}, "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}, "body": "gone"}
    answer = running.post("/shape", content=json.dumps(shape))

    assert (answer.status_code, answer.text, answer.headers["x-a"]) == (404, "gone", "1")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("shape", [None, [], {}, {"statusCode": 200, "body": 5}, {"statusCode": 200, "extra": 1}])
def test_a_malformed_answer_is_502_and_the_reason_is_told_in_the_terminal(running: RunningEmulator, shape: Any) -> None:
    answer = running.post("/shape", content=json.dumps(shape))

    assert answer.status_code == 502
    assert eventually(lambda: "malformed Lambda proxy response" in running.terminal.getvalue())


def test_the_terminal_has_a_line_for_each_request(running: RunningEmulator) -> None:
    request_id = running.get("/things/seen").headers["x-amzn-requestid"]
    assert eventually(lambda: request_id[:8] in running.terminal.getvalue())
    line = next(line for line in running.terminal.getvalue().splitlines() if request_id[:8] in line)

    assert "GET    /things/seen 200" in line
    assert "EchoFunction" in line


def test_the_terminal_tells_of_a_client_that_did_not_wait(running: RunningEmulator) -> None:
    # A worker that is warm takes the request before the client leaves.
    running.get("/patient", params={"seconds": "0"})
    with pytest.raises(httpx2.ReadTimeout):
        running.get("/patient", params={"seconds": "2"}, timeout=1)

    assert eventually(lambda: re.search(r"/patient 200 .*client disconnected", running.terminal.getvalue()))


def test_colour_is_for_terminals_only(running: RunningEmulator) -> None:
    running.get("/broken")

    assert "\x1b" not in running.terminal.getvalue()


@pytest.mark.parametrize(("path", "token", "users"), [("/echo", "", ["127.0.0.1"]), ("/closed", "in turn", ["127.0.0.1", "someone"])])
def test_the_pool_serves_the_principal_or_else_the_address(
    running: RunningEmulator, monkeypatch: pytest.MonkeyPatch, path: str, token: str, users: list[str]
) -> None:
    served = []
    submit = running.emulator.fleet.submit

    def record(function: str, payload: bytes, *, trace_id: str = "", user: str = "") -> Invocation:
        served.append(user)
        return submit(function, payload, trace_id=trace_id, user=user)

    monkeypatch.setattr(running.emulator.fleet, "submit", record)
    running.get(path, headers={"Authorization": token} if token else {})

    assert served == users
