"""Lambda authorizers over HTTP."""

import json
import uuid

import httpx2

from tests.local.running_emulator import RunningEmulator, eventually


def get(running: RunningEmulator, path: str, token: str) -> httpx2.Response:
    return running.get(path, headers={"Authorization": token})


def calls(running: RunningEmulator) -> int:
    return running.emulator.fleet.pools["GateFunction"].counts.invocations


def test_without_the_identity_header_nobody_is_asked(running: RunningEmulator) -> None:
    before = calls(running)
    answer = running.get("/closed")

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert calls(running) == before


def test_the_function_learns_who_calls(running: RunningEmulator) -> None:
    authorizer = get(running, "/closed", "allow").json()["requestContext"]["authorizer"]

    assert (authorizer["principalId"], authorizer["admin"], authorizer["token"]) == ("someone", "true", "allow")
    assert isinstance(authorizer["integrationLatency"], int)


def test_the_authorizer_is_told_what_aws_tells_it(running: RunningEmulator) -> None:
    token = uuid.uuid4().hex
    event = json.loads(get(running, "/closed?a=1", token).json()["requestContext"]["authorizer"]["event"])

    assert (event["type"], event["resource"], event["httpMethod"]) == ("REQUEST", "/closed", "GET")
    assert event["methodArn"] == "arn:aws:execute-api:us-east-1:123456789012:local/test/GET/closed"
    assert (event["pathParameters"], event["queryStringParameters"]) == ({}, {"a": "1"})
    assert "body" not in event
    assert event["requestContext"]["stage"] == "test"


def test_an_answer_is_kept_by_the_headers_value(running: RunningEmulator) -> None:
    token = uuid.uuid4().hex
    before = calls(running)

    assert [get(running, path, token).status_code for path in ("/closed", "/closed/secret", "/closed?x=1")] == [200] * 3
    assert calls(running) == before + 1


def test_a_kept_policy_is_read_again_for_each_method(running: RunningEmulator) -> None:
    assert get(running, "/closed", "only").status_code == 200

    refused = get(running, "/closed/secret", "only")
    assert (refused.status_code, refused.json()["code"]) == (403, "ACCESS_DENIED")


def test_a_deny_wins_over_an_allow(running: RunningEmulator) -> None:
    assert get(running, "/closed", "deny").status_code == 200
    answer = get(running, "/closed/secret", "deny")

    assert (answer.status_code, answer.json()["detail"]) == (403, "User is not authorized to access this resource with an explicit deny")


def test_no_statement_is_no_permission(running: RunningEmulator) -> None:
    assert get(running, "/closed", "nothing").status_code == 403


def test_the_word_unauthorized_is_401(running: RunningEmulator) -> None:
    assert get(running, "/closed", "nobody").status_code == 401


def test_a_broken_authorizer_is_our_fault(running: RunningEmulator) -> None:
    assert get(running, "/closed", "fail").status_code == 500
    assert get(running, "/closed", "malformed").status_code == 500
    assert eventually(lambda: "the result lacks 'policyDocument'" in running.terminal.getvalue())


def test_an_authorizer_without_identity_headers_is_asked_for_every_request(running: RunningEmulator) -> None:
    before = calls(running)
    answers = [running.get("/asked", headers=headers).status_code for headers in ({"X-Api-Key": "allow"}, {"Authorization": "allow"}, {})]

    assert answers == [200, 200, 401]
    assert calls(running) == before + 3


def test_a_refusal_that_failed_is_not_kept(running: RunningEmulator) -> None:
    before = calls(running)
    get(running, "/closed", "nobody")
    get(running, "/closed", "nobody")

    assert calls(running) == before + 2
