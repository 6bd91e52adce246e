"""Draw the CloudWatch dashboard from a local run: `python -m local.dashboard --data .parley docs/dashboard.svg`.

The widgets, their metrics and statistics are those of `stacks/dashboard.yaml`. The values are the functions' own metric lines in the
logs of the run. Metrics of AWS's services have no local source, and their widgets say so.
"""

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from local.template.resolve import Resolver
from local.template.source import read_source

_TEMPLATE = Path(__file__).parents[1] / "stacks" / "dashboard.yaml"
# The name of the stack of `parley up`.
_STACK = "parley"
_COLUMN_PX, _ROW_PX, _MARGIN_PX, _BUCKETS = 50, 32, 10, 48
_COLOURS = ("#1f77b4", "#2ca02c", "#ff7f0e", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#7f7f7f", "#bcbd22", "#393b79")


@dataclass(frozen=True)
class Datum:
    """One value of a metric line."""

    time_s: float
    name: str
    dimensions: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Line:
    """A line of a widget: its label, and a value or None for each bucket."""

    label: str
    values: Sequence[float | None]


def read_data(logs: Path) -> list[Datum]:
    """Return every datum of the metric lines in a folder of logs, as CloudWatch would extract it."""
    texts = [text for path in sorted(logs.glob("*.log")) for text in path.read_text(errors="replace").splitlines()]
    return [datum for text in texts if text.startswith('{"_aws"') for datum in _data(json.loads(text))]


def _data(line: dict[str, Any]) -> Iterator[Datum]:
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            for metric in directive["Metrics"]:
                dimensions = {name: line[name] for name in names}
                yield Datum(line["_aws"]["Timestamp"] / 1000, metric["Name"], dimensions, float(line[metric["Name"]]))


def dashboard_body(stack: str) -> dict[str, Any]:
    """Return the body of the dashboard without a proxy, for a stack with this name."""
    template = read_source(_TEMPLATE).content
    values = {name: stack if name == "Name" else name for name in template["Parameters"]} | {"ProxyName": ""}
    body: dict[str, Any] = json.loads(Resolver(template, values).value(template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]))
    return body


def draw(body: dict[str, Any], data: Sequence[Datum]) -> str:
    """Return the dashboard as SVG. Raises ValueError if the run has no metrics."""
    if not data:
        raise ValueError("the logs contain no metrics")
    widgets = body["widgets"]
    width = max(widget["x"] + widget["width"] for widget in widgets) * _COLUMN_PX
    height = max(widget["y"] + widget["height"] for widget in widgets) * _ROW_PX
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
            f'<rect width="{width}" height="{height}" fill="#f2f3f3"/>',
            *(_widget(widget, data) for widget in widgets),
            "</svg>\n",
        ]
    )


def _widget(widget: dict[str, Any], data: Sequence[Datum]) -> str:
    properties = widget["properties"]
    x, y = widget["x"] * _COLUMN_PX + _MARGIN_PX, widget["y"] * _ROW_PX + _MARGIN_PX
    width, height = widget["width"] * _COLUMN_PX - 2 * _MARGIN_PX, widget["height"] * _ROW_PX - 2 * _MARGIN_PX
    lines = [_line(metric, properties, data) for metric in properties["metrics"] if metric[0] == "Parley"]
    lines = [line for line in lines if any(value is not None for value in line.values)]
    parts = [
        f'<g transform="translate({x},{y})">',
        f'<rect width="{width}" height="{height}" rx="4" fill="white" stroke="#d5dbdb"/>',
        f'<text x="10" y="18" font-weight="bold">{escape(properties["title"])}</text>',
    ]
    if lines:
        parts += _chart(lines, is_stacked=properties["stacked"], width=width, height=height)
    else:
        has_source = any(metric[0] == "Parley" for metric in properties["metrics"])
        note = "nothing was counted in this run" if has_source else "metrics of AWS, without a local source"
        parts.append(f'<text x="{width / 2}" y="{height / 2}" text-anchor="middle" fill="#879196">{note}</text>')
    return "\n".join([*parts, "</g>"])


def _line(metric: list[Any], properties: dict[str, Any], data: Sequence[Datum]) -> Line:
    """Return the line of a metric in the dashboard's syntax: namespace, name, dimension names and values, options."""
    options = metric[-1] if isinstance(metric[-1], dict) else {}
    _, name, *dimensions = [one for one in metric if isinstance(one, str)]
    wanted = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
    begin_s, end_s = min(datum.time_s for datum in data), max(datum.time_s for datum in data)
    bucket_s = max((end_s - begin_s) / _BUCKETS, 0.001)
    buckets: list[list[float]] = [[] for _ in range(_BUCKETS)]
    for datum in data:
        if datum.name == name and datum.dimensions == wanted:
            buckets[min(int((datum.time_s - begin_s) / bucket_s), _BUCKETS - 1)].append(datum.value)
    stat = options.get("stat") or properties["stat"]
    label = options.get("label") or (dimensions[-1] if len(dimensions) > 2 else name)
    return Line(label, [_stat(stat, bucket) for bucket in buckets])


def _stat(stat: str, values: list[float]) -> float | None:
    if not values:
        return None
    match stat:
        case "Sum":
            return sum(values)
        case "Maximum":
            return max(values)
        case "SampleCount":
            return float(len(values))
    return sorted(values)[math.ceil(float(stat.removeprefix("p")) / 100 * len(values)) - 1]


def _chart(lines: Sequence[Line], *, is_stacked: bool, width: float, height: float) -> Iterator[str]:
    left, top, right, bottom = 62.0, 28.0, width - 12, height - 40
    floors, tops = [0.0] * _BUCKETS, []
    for line in lines:
        values = [floor + (value or 0) for floor, value in zip(floors, line.values, strict=True)] if is_stacked else list(line.values)
        tops.append(values)
        floors = [value or 0 for value in values] if is_stacked else floors
    highest = max(value for values in tops for value in values if value is not None) or 1.0

    def at(index: int, value: float) -> str:
        return f"{left + (right - left) * index / (_BUCKETS - 1):.1f},{bottom - (bottom - top) * value / highest:.1f}"

    for share in (0, 0.5, 1):
        y = bottom - (bottom - top) * share
        yield f'<line x1="{left}" x2="{right}" y1="{y}" y2="{y}" stroke="#eaeded"/>'
        yield f'<text x="{left - 5}" y="{y + 4}" text-anchor="end" fill="#545b64">{_amount(highest * share)}</text>'
    for number, values in reversed(list(enumerate(tops))):
        points = [at(index, value) for index, value in enumerate(values) if value is not None]
        colour = _COLOURS[number % len(_COLOURS)]
        if is_stacked:
            yield f'<polygon points="{at(0, 0)} {" ".join(points)} {at(_BUCKETS - 1, 0)}" fill="{colour}"/>'
        else:
            yield f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    x, y = 10.0, height - 28
    for number, line in enumerate(lines):
        label_px = 18 + 5.2 * len(line.label)
        if x + label_px > width:
            x, y = 10.0, y + 13
        yield f'<rect x="{x:.0f}" y="{y}" width="8" height="8" fill="{_COLOURS[number % len(_COLOURS)]}"/>'
        yield f'<text x="{x + 11:.0f}" y="{y + 8}" font-size="9">{escape(line.label)}</text>'
        x += label_px


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    """Draw the dashboard into a file."""
    parser = argparse.ArgumentParser(prog="python -m local.dashboard", description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", type=Path, default=Path(".parley"), help="data folder of the run (default: %(default)s)")
    options = parser.parse_args()
    data = read_data(options.data / "logs")
    stacks = {datum.dimensions["stack"] for datum in data} or {_STACK}
    options.output.write_text(draw(dashboard_body(stacks.pop()), data), encoding="utf-8")


if __name__ == "__main__":
    main()
