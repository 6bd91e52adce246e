import json

import pytest
from click.testing import CliRunner

from local import log_search
from local.commands import logs
from local.log_search import LogFiles, LogFilter

AT = "2026-11-28 02:59:{:06.3f}"


def line(second, message, **fields):
    timestamp = AT.format(second).replace(".", ",") + "+0000"
    return json.dumps({"level": "INFO", "message": message, "timestamp": timestamp} | fields)


CHAT = [
    "START RequestId: 1",
    line(1, "turn_failed", level="WARNING", correlation_id="r-1", user_id="ada", turn_id="t-1"),
    line(3, "request_completed", correlation_id="r-1", user_id="ada", status=200),
    line(6, "request_completed", correlation_id="r-2", user_id="bob", status=200),
    json.dumps({"_aws": {"Timestamp": 1}, "Turns": 1}),
]
TOOLRUNNER = [line(2, "tool_request_served", correlation_id="r-1")]
SUMMARIZE = [
    line(5, "job_failed", level="ERROR", correlation_id="r-1", exception="Traceback\n  KeyError: 'x'"),
    line(7, "job_completed", correlation_id="r-9"),
]


@pytest.fixture
def data(tmp_path):
    (tmp_path / "logs").mkdir()
    for name, texts in {"ChatFunction": CHAT, "ToolrunnerFunction": TOOLRUNNER, "SummarizeFunction": SUMMARIZE}.items():
        (tmp_path / "logs" / f"{name}.log").write_text("\n".join(texts) + "\n")
    return tmp_path


@pytest.fixture
def shown(data):
    """Run `parley logs` and return its lines."""

    def shown(*options):
        result = CliRunner().invoke(logs, ["--data", str(data), *options])
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    return shown


def messages(lines):
    return [word for line in lines for word in line.split() if "_" in word and "=" not in word]


def test_lines_of_all_functions_are_in_the_order_of_their_times_and_metrics_are_left_out(shown):
    assert messages(shown()) == [
        *("turn_failed", "tool_request_served", "request_completed"),
        *("job_failed", "request_completed", "job_completed"),
    ]
    assert "Turns" not in "".join(shown())


def test_a_turn_has_the_lines_of_its_tools_and_its_jobs(shown):
    assert messages(shown("--turn", "t-1")) == ["turn_failed", "tool_request_served", "request_completed", "job_failed"]


def test_a_user_has_the_lines_of_the_users_requests_only(shown):
    assert messages(shown("--user", "bob")) == ["request_completed"]


def test_a_request_may_be_named_by_the_beginning_of_its_id(shown):
    assert messages(shown("--request", "r-9")) == messages(shown("--request", "r-9")) == ["job_completed"]
    assert len(messages(shown("--request", "r-"))) == 6


def test_levels_functions_and_a_number_of_lines_narrow_the_output(shown):
    assert messages(shown("--level", "warning")) == ["turn_failed", "job_failed"]
    assert messages(shown("--function", "chat", "--function", "ToolrunnerFunction", "-n", "2")) == [
        "request_completed",
        "request_completed",
    ]


def test_a_trace_is_below_its_line_and_times_are_readable(shown):
    lines = shown("--level", "ERROR")

    assert lines[0].startswith("02:59:05,000  summarize")
    assert lines[-1].strip() == "KeyError: 'x'"


def test_json_lines_are_unchanged(shown):
    assert shown("--json", "--turn", "t-1") == [CHAT[1], TOOLRUNNER[0], CHAT[2], SUMMARIZE[0]]


def test_without_a_started_stack_the_command_says_so(tmp_path):
    result = CliRunner().invoke(logs, ["--data", str(tmp_path)])

    assert (result.exit_code, "parley up" in result.output) == (1, True)


def test_new_lines_are_followed_and_a_line_is_shown_when_it_is_complete(data):
    files = LogFiles(data / "logs")
    files.read()
    path = data / "logs" / "ChatFunction.log"
    with path.open("a") as file:
        file.write(line(8, "turn_crashed")[:-1])
        file.flush()
        half = files.read()
        file.write("}\n")
    path.with_name("AuthFunction.log").write_text(line(7, "request_refused") + "\n")

    assert (half, [one.fields["message"] for one in files.read()]) == ([], ["request_refused", "turn_crashed"])


def test_the_files_of_a_restarted_stack_are_read_from_their_beginning(data):
    files = LogFiles(data / "logs")
    files.read()
    (data / "logs" / "ChatFunction.log").write_text(line(9, "job_skipped") + "\n")

    assert [one.fields["message"] for one in files.read()] == ["job_skipped"]


def test_following_finds_related_lines_that_come_later(data, monkeypatch, capsys):
    rounds = iter([None, None])

    def sleep(_seconds):
        with (data / "logs" / "ToolrunnerFunction.log").open("a") as file:
            file.write(line(8, "tool_failed", correlation_id="r-1") + "\n")
        if next(rounds, "end") == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr(log_search.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        log_search.show_logs(data / "logs", LogFilter(turn="t-1"), lines=0, follows=True, as_json=True)

    assert messages(capsys.readouterr().out.replace('"', " ").splitlines()).count("tool_failed") == 2
