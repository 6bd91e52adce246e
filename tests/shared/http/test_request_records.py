"""A request's end: the response to a crash, the log line, the metrics and the span."""

from types import SimpleNamespace

import pytest

from parley.http import middleware
from parley.http.middleware import AllowedOrigins, RequestMiddleware
from parley.observability import traces
from parley.observability.settings import ObservabilitySettings
from tests.fakes.cloudwatch import read_metrics
from tests.fakes.otlp_receiver import attributes_of, running_otlp_receiver
from tests.support.asgi import sending, sent_by, start

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
END = {"type": "http.response.body", "body": b""}
PART = END | {"more_body": True}


def wrapped(*messages, error=None):
    """Return an app that sends these messages, in the middleware of every function."""
    return RequestMiddleware(sending(messages, error), body_limit=1, allowed_origins=AllowedOrigins("*"), error_responders={})


@pytest.mark.parametrize(
    ("messages", "statuses", "crashes"),
    [((), [500], 1), ((start(200), END), [200], 1), ((start(200), PART, END), [200], 1), ((start(500), END), [500], 0)],
    ids=["before the response", "after the response", "after its last part", "after the framework's own response"],
)
def test_a_crash_has_one_response_and_is_logged_unless_the_framework_did(caplog, messages, statuses, crashes):
    sent = sent_by(wrapped(*messages, error=ValueError("secret")))

    assert [message["status"] for message in sent if message["type"] == "http.response.start"] == statuses
    assert caplog.text.count("request_crashed") == crashes


@pytest.mark.parametrize("messages", [(start(200),), (start(200), PART)], ids=["without a body", "within its body"])
def test_a_crash_within_a_response_reaches_the_runtime_which_reports_the_broken_stream(messages):
    with pytest.raises(ValueError, match="broken"):
        sent_by(wrapped(*messages, error=ValueError("broken")))


@pytest.mark.parametrize(("status", "errors"), [(499, 0), (500, 1)])
def test_a_request_is_recorded_with_its_milliseconds_and_whether_the_server_failed(monkeypatch, caplog, capsys, status, errors):
    caplog.set_level("INFO")
    clock_s = iter([5.0, 5.2504567])
    monkeypatch.setattr(middleware, "time", SimpleNamespace(perf_counter=lambda: next(clock_s)))
    sent_by(wrapped(start(status), END))
    metrics = read_metrics(capsys.readouterr().out)

    assert [record.duration_ms for record in caplog.records if record.message == "request_completed"] == [250.5]
    assert [{datum.value for datum in metrics if datum.name == name} for name in ("RequestMs", "ServerErrors")] == [{250.5}, {errors}]


def test_a_request_continues_its_callers_trace_and_only_the_servers_fault_marks_its_span(monkeypatch):
    with running_otlp_receiver() as receiver:
        monkeypatch.setattr(traces, "_tracer", traces.Tracer(ObservabilitySettings.read({"PARLEY_TRACES_ENDPOINT": receiver.url})))
        for status in (499, 500):
            sent_by(wrapped(start(status), END), headers=[(b"traceparent", TRACEPARENT.encode())])

    assert {span.trace_id.hex() for span in receiver.spans} == {TRACEPARENT.split("-")[1]}
    assert [(span.status.code, attributes_of(span).get("error.type")) for span in receiver.spans] == [(0, None), (2, "500")]
