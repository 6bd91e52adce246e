"""Unexpected errors in Sentry, as a server receives them from Sentry's own SDK."""

import pytest

from parley.observability import logger
from parley.observability.error_reports import ErrorReporter, fingerprint
from parley.observability.sentry import SentrySink
from parley.observability.settings import ObservabilitySettings
from tests.fakes.sentry_server import running_sentry_server


@pytest.fixture
def sentry():
    """Turn reports to Sentry on, and return the server that receives them."""
    with running_sentry_server() as server:
        variables = {"PARLEY_SENTRY_DSN": server.dsn, "PARLEY_STACK": "parley-test", "POWERTOOLS_SERVICE_NAME": "chat"}
        reporter = ErrorReporter(SentrySink(ObservabilitySettings.read(variables)))
        logger.addFilter(reporter)
        yield server
        logger.removeFilter(reporter)


def crash(words):
    reason = {"message": words}
    raise ValueError(f"no {reason['message']}")


def raised(*words):
    with pytest.raises(ValueError) as caught:
        crash(*words)
    return caught.value


def log_for_sentry_alone(error):
    # The logger's own reporter would mark the error as reported first.
    (reporter,) = [one for one in logger._logger.filters if isinstance(one, ErrorReporter) and one.sink]
    others = [one for one in logger._logger.filters if one is not reporter]
    for one in others:
        logger.removeFilter(one)
    logger.exception("turn_crashed", exc_info=error)
    for one in others:
        logger.addFilter(one)


def test_an_error_arrives_once_with_its_fingerprint_type_and_trace(sentry):
    error = raised("words")
    log_for_sentry_alone(error)
    log_for_sentry_alone(error)
    (event,) = sentry.events
    (exception,) = event["exception"]["values"]

    assert event["fingerprint"] == [fingerprint(error)]
    assert (exception["type"], exception["stacktrace"]["frames"][-1]["function"]) == ("ValueError", "crash")
    assert (event["environment"], event["tags"]["service"], event["tags"]["event"]) == ("parley-test", "chat", "turn_crashed")


def test_neither_the_errors_text_nor_a_variable_leaves_the_function(sentry):
    log_for_sentry_alone(raised("canary7c1f"))

    assert len(sentry.envelopes) == 1
    assert b"canary7c1f" not in sentry.envelopes[0]


def test_a_sentry_that_is_away_does_not_disturb(monkeypatch):
    sink = SentrySink(ObservabilitySettings.read({"PARLEY_SENTRY_DSN": "http://key@127.0.0.1:9/1"}))
    ErrorReporter(sink)._report(raised("x"), "abc", "turn_crashed")
