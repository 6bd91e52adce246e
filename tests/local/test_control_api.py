"""The control API: invoke, status, schedules."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local.request_origin import is_trusted
from local.template.stack import Stack
from tests.local.running_emulator import RunningEmulator, eventually

ARN = "arn:aws:lambda:us-east-1:123456789012:function:EchoFunction"


@pytest.mark.parametrize("name", ["EchoFunction", ARN, f"{ARN}:live", "123456789012:function:EchoFunction", "EchoFunction:$LATEST"])
def test_a_function_is_invoked_by_name_or_arn(running: RunningEmulator, name: str) -> None:
    answer = running.invoke(name, {"a": 1})

    assert answer.json()["event"] == {"a": 1}
    assert answer.headers["x-amz-executed-version"] == "$LATEST"


def workers_of(running: RunningEmulator) -> dict[str, int]:
    """Return the number of processes of each function that has any."""
    return {name: count for name, pool in running.emulator.fleet.pools.items() if (count := pool.states().total())}


def test_a_stack_that_is_not_warmed_starts_a_function_at_its_first_request(stack: Stack, tmp_path: Path) -> None:
    with RunningEmulator.started(stack, logs=tmp_path, warms=False) as cold:
        assert workers_of(cold) == {}

        assert cold.get("/echo").status_code == 200
        assert workers_of(cold) == {"EchoFunction": 1}


def test_a_function_behind_the_api_starts_before_its_first_request(running: RunningEmulator) -> None:
    assert eventually(lambda: "GateFunction" in workers_of(running))


def test_a_worker_sees_lambdas_environment_and_nothing_else(running: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVELOPERS_OWN", "secret")
    seen = running.invoke("EchoFunction", {}).json()

    assert seen["arn"] == ARN
    assert 15_000 < seen["left_ms"] <= 20_000
    assert (
        seen["environment"].items()
        >= {
            "AWS_LAMBDA_FUNCTION_NAME": "EchoFunction",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "_HANDLER": "plain.echo",
            "LAMBDA_TASK_ROOT": seen["cwd"],
            "TZ": ":UTC",
            "GREETING": "hello",
            "WIRED": "yes",
        }.items()
    )
    assert {"DEVELOPERS_OWN", "HOME", "PYTHONDONTWRITEBYTECODE"}.isdisjoint(seen["environment"])


def test_boto3_invokes_functions_that_fail_and_functions_that_do_not(running: RunningEmulator) -> None:
    script = """
import boto3, json, sys
client = boto3.client("lambda", "us-east-1", endpoint_url=sys.argv[1], aws_access_key_id="x", aws_secret_access_key="x")
answers = [client.invoke(FunctionName="FaultFunction", Payload=json.dumps({"kind": kind})) for kind in ("none", "exception")]
print(json.dumps([[answer.get("FunctionError"), json.load(answer["Payload"])] for answer in answers]))
"""
    done = subprocess.run([sys.executable, "-c", script, f"{running.url}/_local/lambda"], capture_output=True, text=True, check=True)
    fine, failed = json.loads(done.stdout)

    assert (fine[0], fine[1]["statusCode"]) == (None, 200)
    assert (failed[0], failed[1]["errorType"]) == ("Unhandled", "ValueError")


def test_an_event_invocation_answers_at_once(running: RunningEmulator) -> None:
    before = running.emulator.fleet.pools["EchoFunction"].counts.invocations
    answer = running.invoke("EchoFunction", {}, **{"X-Amz-Invocation-Type": "Event"})

    assert (answer.status_code, answer.content) == (202, b"")
    assert running.emulator.fleet.pools["EchoFunction"].counts.invocations == before + 1


@pytest.mark.parametrize(
    ("name", "content", "kind", "status", "error"),
    [
        ("NobodyFunction", b"{}", "RequestResponse", 404, "ResourceNotFoundException"),
        ("EchoFunction", b"{", "RequestResponse", 400, "InvalidRequestContentException"),
        ("EchoFunction", b"{}", "Sometimes", 400, "InvalidParameterValueException"),
        ("EchoFunction", b'"' + b"x" * 6_300_000 + b'"', "RequestResponse", 413, "RequestTooLargeException"),
        ("EchoFunction", b'"' + b"x" * 1_100_000 + b'"', "Event", 413, "RequestTooLargeException"),
    ],
)
def test_what_lambda_refuses_is_refused(running: RunningEmulator, name: str, content: bytes, kind: str, status: int, error: str) -> None:
    headers = {"X-Amz-Invocation-Type": kind}
    answer = running.post(f"/_local/lambda/2015-03-31/functions/{name}/invocations", content=content, headers=headers)

    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (status, error)


def test_a_dry_run_does_nothing(running: RunningEmulator) -> None:
    assert running.invoke("EchoFunction", {}, **{"X-Amz-Invocation-Type": "DryRun"}).status_code == 204


def test_status_lists_functions_routes_and_schedules(running: RunningEmulator) -> None:
    running.invoke("EchoFunction", {})
    status = running.get("/_local/status").json()
    echo = next(one for one in status["functions"] if one["name"] == "EchoFunction")

    assert echo["handler"] == "plain.echo"
    assert echo["invocations"] > 0
    assert eventually(lambda: running.get("/_local/status").json()["functions"][0]["workers"]["idle"] > 0)
    assert [one["name"] for one in status["schedules"]] == ["hourly", "nightly"]
    assert status["schedules"][0]["next_run"] > "2026"
    assert status["schedules"][1]["next_run"] is None
    assert status["routes"] == len(running.emulator.stack.api.routes)


def test_a_schedule_is_fired_by_hand_with_its_own_input(running: RunningEmulator) -> None:
    assert running.post("/_local/schedules/hourly").json()["event"] == {"from": "hourly"}

    event = running.post("/_local/schedules/nightly").json()["event"]
    assert (event["source"], event["detail-type"]) == ("aws.events", "Scheduled Event")


def test_an_unknown_schedule_names_those_that_exist(running: RunningEmulator) -> None:
    answer = running.post("/_local/schedules/never")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hourly, nightly" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "trusted"),
    [
        ({"host": "127.0.0.1:3000"}, True),
        ({"host": "localhost"}, True),
        ({"host": "[::1]:3000"}, True),
        ({"host": "localhost:3000", "origin": "http://localhost:3000", "sec-fetch-site": "same-origin"}, True),
        ({"host": "evil.example:3000"}, False),
        ({"host": "127.0.0.1.evil.example"}, False),
        ({}, False),
        ({"host": "localhost:3000", "origin": "http://evil.example"}, False),
        ({"host": "localhost:3000", "origin": "http://localhost:8080"}, False),
        ({"host": "localhost:3000", "origin": "null"}, False),
        ({"host": "localhost:3000", "sec-fetch-site": "cross-site"}, False),
        ({"host": "localhost:3000", "sec-fetch-site": "same-site"}, False),
    ],
)
def test_only_programs_on_this_machine_are_trusted(headers: dict[str, str], trusted: bool) -> None:
    assert is_trusted(headers) is trusted


def test_a_web_page_is_kept_out(running: RunningEmulator) -> None:
    answer = running.post("/_local/schedules/hourly", headers={"Origin": "http://evil.example"})

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
