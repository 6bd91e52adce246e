"""Read the embedded metric format as CloudWatch Logs does, and check it against AWS's JSON schema."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
_SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 1},
                "CloudWatchMetrics": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "array", "maxItems": 30, "items": {"type": "string", "minLength": 1, "maxLength": 250}},
                            },
                            "Metrics": {
                                "type": "array",
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "properties": {
                                        "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
                                        "Unit": {"enum": ["Count", "Milliseconds", "None"]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


@dataclass(frozen=True)
class Datum:
    """One value of one metric under one combination of dimensions."""

    name: str
    dimensions: Mapping[str, str]
    value: float
    unit: str


def read_metrics(output: str) -> list[Datum]:
    """Return every datum that CloudWatch would extract from a function's output. Raises for a line that violates the schema."""
    return [datum for line in metric_lines(output) for datum in _data(line)]


def metric_lines(output: str) -> list[dict[str, Any]]:
    """Return the lines of an output that are in the embedded metric format."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line for line in lines if "_aws" in line]


def total(data: list[Datum], name: str, **dimensions: str) -> float:
    """Return the sum of a metric under exactly these dimensions besides the stack."""
    expected = {"stack": "local"} | dimensions
    return sum(datum.value for datum in data if datum.name == name and datum.dimensions == expected)


def _data(line: dict[str, Any]) -> Iterator[Datum]:
    jsonschema.validate(line, _SCHEMA)
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: line[name] for name in names}
            assert all(isinstance(value, str) for value in dimensions.values())
            for metric in directive["Metrics"]:
                yield Datum(metric["Name"], dimensions, float(line[metric["Name"]]), metric["Unit"])
