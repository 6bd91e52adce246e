"""The functions' output on the terminal."""

import io
import json
from pathlib import Path

import pytest

from local.console import Console
from local.logs import StackLog, terminal_text

ERROR = {
    "level": "ERROR",
    "location": "handler:12",
    "message": "the model refused",
    "timestamp": "2026-11-22T14:03:00Z",
    "service": "chat",
    "provider": "acme",
    "attempt": 2,
    "exception": 'Traceback (most recent call last):\n  File "turn.py", line 3, in take\nValueError: no',
}
UNCAUGHT = {
    "timestamp": "…",
    "level": "ERROR",
    "errorType": "KeyError",
    "errorMessage": "'x'",
    "requestId": "1",
    "stackTrace": ["  File a\n"],
}


def test_an_error_is_one_readable_line_with_its_traceback_below() -> None:
    line = terminal_text(json.dumps(ERROR))

    assert line is not None
    assert line.colour == "red"
    assert line.text.splitlines() == [
        "ERROR the model refused  provider=acme attempt=2",
        "  Traceback (most recent call last):",
        '    File "turn.py", line 3, in take',
        "  ValueError: no",
    ]


def test_what_a_handler_raised_is_told_with_its_type() -> None:
    line = terminal_text(json.dumps(UNCAUGHT))

    assert line is not None
    assert line.text == "ERROR KeyError: 'x'\n    File a"


@pytest.mark.parametrize(
    "fields",
    [
        {"level": "INFO", "message": "m"},
        {"level": "DEBUG", "message": "m"},
        {"_aws": {}, "latency": 1},
        {"level": "WARNING", "message": "LAMBDA_WARNING: Unhandled exception. The most likely cause is …"},
        {"level": "ERROR", "errorType": "Runtime.ImportModuleError", "errorMessage": "told elsewhere", "stackTrace": []},
    ],
)
def test_quiet_lines_are_not_shown(fields: dict[str, object]) -> None:
    assert terminal_text(json.dumps(fields)) is None


@pytest.mark.parametrize("text", ["hello", "{not json", '{"a": 1}', "[1]", ""])
def test_what_is_not_a_log_line_is_shown_as_it_is(text: str) -> None:
    line = terminal_text(text)

    assert line is not None
    assert (line.text, line.colour) == (text, "dim")


@pytest.mark.parametrize(("is_verbose", "terminal"), [(False, "chat │ WARNING slow\n"), (True, 'chat │ {"level": "INFO"}\nchat │ ')])
def test_the_log_file_has_every_line_and_the_terminal_what_matters(tmp_path: Path, is_verbose: bool, terminal: str) -> None:
    out = io.StringIO()
    log = StackLog(Console(out), tmp_path, is_verbose=is_verbose)
    log.output("ChatFunction", '{"level": "INFO"}')
    log.output("ChatFunction", '{"level": "WARNING", "message": "slow"}')
    log.close()

    assert out.getvalue().startswith(terminal)
    assert (tmp_path / "ChatFunction.log").read_text().splitlines() == ['{"level": "INFO"}', '{"level": "WARNING", "message": "slow"}']


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's device for a full disk")
def test_a_full_disk_loses_lines_and_fails_nothing(tmp_path: Path) -> None:
    log = StackLog(Console(io.StringIO()), tmp_path)
    (tmp_path / "ChatFunction.log").symlink_to("/dev/full")
    log.platform("ChatFunction", "REPORT")
    log.output("ChatFunction", "one line")
    log.platform("WebFunction", "REPORT")
    log.close()

    assert (tmp_path / "WebFunction.log").read_text() == "REPORT\n"
