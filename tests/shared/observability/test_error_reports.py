import json
import logging

import pytest

from parley.errors import Unavailable
from parley.observability import logger
from parley.observability.error_reports import ErrorReporter, fingerprint
from tests.fakes.cloudwatch import metric_lines, read_metrics, total


def fail(text):
    raise ValueError(text)


def fail_elsewhere(text):
    raise ValueError(text)


def error_of(function, *arguments):
    with pytest.raises(Exception) as caught:
        function(*arguments)
    return caught.value


def test_the_same_bug_has_the_same_fingerprint_whatever_its_text():
    assert fingerprint(error_of(fail, "one")) == fingerprint(error_of(fail, "two"))


def test_another_place_and_another_type_have_other_fingerprints():
    def fail_otherwise(text):
        raise TypeError(text)

    marks = {fingerprint(error_of(function, "x")) for function in (fail, fail_elsewhere, fail_otherwise)}

    assert len(marks) == 3


def test_an_unexpected_error_is_counted_once_although_two_handlers_log_it(capsys):
    error = error_of(fail, "canary words")
    logger.exception("turn_crashed", exc_info=error)
    logger.exception("request_crashed", exc_info=error)
    output = capsys.readouterr().out
    (counted,) = metric_lines(output)

    assert total(read_metrics(output), "UnexpectedErrors") == 1
    assert (counted["fingerprint"], counted["error"], counted["event"]) == (fingerprint(error), "ValueError", "turn_crashed")
    assert "canary" not in json.dumps(counted)


def test_every_log_line_of_the_error_has_its_fingerprint(caplog):
    error = error_of(fail, "x")
    for event in ("turn_crashed", "request_crashed"):
        logger.exception(event, exc_info=error)
    lines = [json.loads(logger.registered_formatter.format(record)) for record in caplog.records]

    assert [line["fingerprint"] for line in lines] == [fingerprint(error)] * 2


def test_an_expected_error_is_logged_but_not_counted(capsys):
    def fail_as_expected():
        raise Unavailable("queue")

    logger.exception("job_not_sent", exc_info=error_of(fail_as_expected))

    assert metric_lines(capsys.readouterr().out) == []


def test_a_warning_with_a_trace_is_not_counted(capsys):
    logger.warning("tool_failed", exc_info=error_of(fail, "x"))

    assert metric_lines(capsys.readouterr().out) == []


def test_a_sink_receives_each_error_once():
    received = []
    reporter = ErrorReporter(lambda *report: received.append(report))
    error = error_of(fail, "x")
    for event in ("turn_crashed", "request_crashed"):
        reporter.filter(logging.LogRecord("parley", logging.ERROR, __file__, 1, event, None, (ValueError, error, None)))

    assert received == [(error, fingerprint(error), "turn_crashed")]
