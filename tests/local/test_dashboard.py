"""The drawing of the dashboard: from the template's body and metric lines, readable as SVG."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from local.dashboard import Datum, dashboard_body, draw, read_data
from parley.observability.metrics import metric_line

ROOT = Path(__file__).parents[2]


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.fixture
def logs(tmp_path):
    lines = [metric_line({"Turns": 1}, {"outcome": "completed"}, epoch_ms=1_000_000 + 1000 * second) for second in range(20)]
    lines += [metric_line({"FirstTokenMs": 250.0}, {}, epoch_ms=1_010_000), '{"level": "INFO", "message": "turn_failed"}\n']
    (tmp_path / "ChatFunction.log").write_text("".join(lines))
    return tmp_path


def test_metric_lines_are_read_as_cloudwatch_extracts_them(logs):
    data = read_data(logs)

    assert Datum(1000.0, "Turns", {"stack": "local", "outcome": "completed"}, 1.0) in data
    assert len(data) == 41


def test_each_widget_is_drawn_and_one_without_values_says_so(logs):
    body = dashboard_body("local")
    drawn = texts(draw(body, read_data(logs)))

    assert [widget["properties"]["title"] for widget in body["widgets"] if widget["properties"]["title"] not in drawn] == []
    assert {"completed", "p50", "250", "nothing was counted in this run", "metrics of AWS, without a local source"} <= set(drawn)
    assert "interrupted" not in drawn


def test_a_run_without_metrics_is_refused():
    with pytest.raises(ValueError, match="no metrics"):
        draw(dashboard_body("local"), [])


def test_the_picture_in_the_docs_is_of_todays_dashboard_and_small():
    picture = ROOT / "docs" / "dashboard.svg"
    titles = {widget["properties"]["title"] for widget in dashboard_body("parley")["widgets"]}

    assert titles <= set(texts(picture.read_text()))
    assert picture.stat().st_size < 150_000
