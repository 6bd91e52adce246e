import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from parley.observability.logs import MAX_CHARACTERS, MAX_LINE_BYTES, REDACTED, make_logger, redact

SECRETS = [
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "prt_AZ9Hc2VjcmV0c2VjcmV0",
    "parley_eyJhbGciOiJFUzI1NiJ9",
    "sk-proj-abcdefghijklmnop",
    "Bearer c2VjcmV0c2VjcmV0",
]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Log a line as the functions do, and return it as CloudWatch receives it."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"redaction-{uuid4()}")  # loggers are cached by name

    def log(message: str, **fields: Any) -> dict[str, Any]:
        make_logger().info(message, extra=fields)
        line: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return line

    return log


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_in_a_message_is_masked(secret):
    assert redact(f"refused {secret} at the door") == f"refused {REDACTED} at the door"


@pytest.mark.parametrize(
    "name", ["password", "new_password", "api_key", "Authorization", "refresh_token", "code", "prompt", "text", "content"]
)
def test_a_field_with_a_sensitive_name_is_redacted_at_any_depth(name):
    assert redact({"a": [{name: "hunter2 is here"}]}) == {"a": [{name: REDACTED}]}


def test_numbers_and_harmless_fields_are_unchanged():
    assert redact({"output_tokens": 3, "model": "offline", "status": 200}) == {"output_tokens": 3, "model": "offline", "status": 200}


def test_a_password_in_a_url_is_masked():
    assert "hunter2" not in redact("cannot reach postgresql://parley_app:hunter2@db.example.com/parley")


def test_the_logger_redacts_what_it_writes(logged: Callable[..., dict[str, Any]]) -> None:
    line = logged(message="token prt_AZ9Hc2VjcmV0c2VjcmV0", password="hunter2")

    assert (line["message"], line["password"]) == (f"token {REDACTED}", REDACTED)


def test_libraries_log_warnings_only():
    assert not logging.getLogger("mangum.http").isEnabledFor(logging.INFO)
    assert logging.getLogger("botocore").isEnabledFor(logging.WARNING)


@pytest.mark.parametrize("level", ["WARNING", "ERROR"])
def test_a_function_writes_its_metrics_but_no_lines_below_its_level(level):
    script = """
import logging
from parley.observability import logger, put_metrics

logger.info("an event")
logging.getLogger("library").warning("a warning of a library")
logger.error("an error")
put_metrics({"ColdStarts": 1})
"""
    # Lambda's filter is lower, because it takes a line without a level for INFO.
    environment = {"POWERTOOLS_LOG_LEVEL": level, "AWS_LAMBDA_LOG_LEVEL": "INFO", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60)
    lines = [json.loads(line) for line in done.stdout.splitlines()]

    assert [line.get("message", "metrics") for line in lines] == ["an error", "metrics"]
    assert ("a warning of a library" in done.stderr) == (level == "WARNING")


def test_a_long_field_is_cut_and_keeps_its_ends(logged: Callable[..., dict[str, Any]]) -> None:
    reason = logged("request_refused", reason="begin" + "x" * 3_400_000 + "end")["reason"]

    assert len(reason) == MAX_CHARACTERS
    assert (reason[:5], reason[-3:]) == ("begin", "end")


@pytest.mark.parametrize(
    "fields",
    [
        {"changes": {f"{number}" * 500: "y" * 500 for number in range(1000)}},
        {f"field_{number}": "\x01" * 500 for number in range(28)},
        {"items": [["z" * 500] * 500] * 500},
        {"number": 10**5000},
    ],
    ids=["long keys", "many fields", "nested lists", "a long number"],
)
def test_a_line_is_bounded_whatever_its_fields(logged: Callable[..., dict[str, Any]], fields: dict[str, Any]) -> None:
    line = logged("request_refused", **fields)

    assert line["message"] == "request_refused"
    assert len(json.dumps(line, ensure_ascii=False).encode()) <= MAX_LINE_BYTES


def test_a_trace_keeps_its_last_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"redaction-{uuid4()}")
    try:
        raise ValueError("v" * 100_000 + " is the end")
    except ValueError:
        make_logger().exception("request_crashed")
    line = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("is the end")
    assert line["exception_name"] == "ValueError"


def test_a_line_that_is_cut_keeps_its_trace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"redaction-{uuid4()}")
    try:
        raise ValueError("is the end")
    except ValueError:
        make_logger().exception("request_crashed", changes={f"field {number}": "y" * 500 for number in range(100)}, more="z" * 5000)
    line = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert line["exception"].endswith("is the end")


@pytest.mark.parametrize("start", range(MAX_CHARACTERS - 30, MAX_CHARACTERS + 10, 7))
def test_a_secret_at_the_cut_is_masked(logged: Callable[..., dict[str, Any]], start: int) -> None:
    reason = logged("request_refused", reason="." * start + " " + SECRETS[0] + " " + "." * 500)["reason"]

    assert "eyJ" not in reason
