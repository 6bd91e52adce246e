import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from parley.observability import REDACTED, make_logger, redact

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
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "redaction")  # loggers are cached by name

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
