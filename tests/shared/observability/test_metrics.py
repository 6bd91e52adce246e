import time

import pytest

from parley.observability import begin_log_context, metrics
from parley.observability.metrics import METRICS, metric_line, put_metrics
from parley.observability.settings import ObservabilitySettings
from tests.fakes.cloudwatch import Datum, metric_lines, read_metrics, total


def test_a_value_counts_for_the_stack_and_for_its_breakdown():
    data = read_metrics(metric_line({"Turns": 1}, {"outcome": "completed"}, epoch_ms=1))

    assert data == [
        Datum("Turns", {"stack": "local"}, 1.0, "Count"),
        Datum("Turns", {"stack": "local", "outcome": "completed"}, 1.0, "Count"),
    ]


def test_a_line_may_hold_metrics_of_different_dimensions():
    data = read_metrics(metric_line({"Turns": 1, "FirstTokenMs": 12.5}, {"outcome": "completed", "model": "m"}, epoch_ms=1))

    assert Datum("FirstTokenMs", {"stack": "local"}, 12.5, "Milliseconds") in data
    assert {name for datum in data for name in datum.dimensions} == {"stack", "outcome"}


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_the_stack_as_a_dimension(name):
    breakdown = METRICS[name].by
    data = read_metrics(metric_line({name: 1}, {breakdown: "x"} if breakdown else {}, epoch_ms=1))

    assert data
    assert all("stack" in datum.dimensions for datum in data)


def test_the_time_is_now_in_milliseconds(capsys):
    put_metrics({"ToolErrors": 1})
    (line,) = metric_lines(capsys.readouterr().out)

    assert abs(line["_aws"]["Timestamp"] - time.time() * 1000) < 60_000


def test_metrics_can_be_turned_off(capsys, monkeypatch):
    monkeypatch.setattr(metrics, "settings", ObservabilitySettings.read({"PARLEY_METRICS": "off"}))
    put_metrics({"ToolErrors": 1})

    assert capsys.readouterr().out == ""


def test_a_process_counts_one_cold_start(capsys):
    metrics.count_cold_start.cache_clear()
    for _ in range(3):
        begin_log_context("request")

    assert total(read_metrics(capsys.readouterr().out), "ColdStarts", service=metrics.settings.service) == 1
