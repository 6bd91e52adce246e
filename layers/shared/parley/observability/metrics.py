"""Metrics in CloudWatch's embedded metric format: a line of JSON on standard output, from which CloudWatch Logs extracts the values.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

Each metric has the dimension `stack`, so that two stacks of an account do not mix, and is also broken down by at most one further
dimension. Values of dimensions come from closed sets or from the operator's catalogue: CloudWatch bills each combination, and users'
text must not become a metric. Powertools' `Metrics` is not used: it collects the values of a process, and costs ten times more per line.
"""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

from parley.observability.settings import settings

NAMESPACE = "Parley"

type Unit = Literal["Count", "Milliseconds", "None"]
type Breakdown = Literal["service", "outcome", "purpose", "provider"]


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """A metric's unit, and the dimension that breaks it down in addition to the total of the stack."""

    unit: Unit
    by: Breakdown | None = None


METRICS: Mapping[str, MetricDefinition] = MappingProxyType(
    {
        "RequestMs": MetricDefinition("Milliseconds", by="service"),
        "ServerErrors": MetricDefinition("Count", by="service"),
        "UnexpectedErrors": MetricDefinition("Count", by="service"),
        "ColdStarts": MetricDefinition("Count", by="service"),
        "Turns": MetricDefinition("Count", by="outcome"),
        "FirstTokenMs": MetricDefinition("Milliseconds"),
        "Tokens": MetricDefinition("Count", by="purpose"),
        "CostUsd": MetricDefinition("None", by="purpose"),
        "ProviderErrors": MetricDefinition("Count", by="provider"),
        "Fallbacks": MetricDefinition("Count"),
        "ToolErrors": MetricDefinition("Count"),
    }
)


def put_metrics(values: Mapping[str, float], **properties: str | int) -> None:
    """Write one line with these values of `METRICS`.

    `properties` holds the values of the metrics' dimensions (`service` is added), and fields that only log queries see.
    """
    if settings.has_metrics:
        sys.stdout.write(metric_line(values, properties, epoch_ms=time.time_ns() // 1_000_000))
        sys.stdout.flush()


def metric_line(values: Mapping[str, float], properties: Mapping[str, str | int], *, epoch_ms: int) -> str:
    """Return the line that `put_metrics` writes."""
    members = {"stack": settings.stack, "service": settings.service, **properties, **values}
    return f'{{"_aws":{{"Timestamp":{epoch_ms},"CloudWatchMetrics":{_directives(tuple(values))}}},{json.dumps(members)[1:]}\n'


@cache
def count_cold_start() -> None:
    """Count the start of this process at its first invocation. Further calls have no effect."""
    put_metrics({"ColdStarts": 1})


@cache
def _directives(names: tuple[str, ...]) -> str:
    """Return the JSON that tells CloudWatch which members of the line are metrics, and their dimensions."""
    directives = []
    for name in names:
        definition = METRICS[name]
        dimensions = [["stack"], ["stack", definition.by]] if definition.by else [["stack"]]
        metric = {"Name": name, "Unit": definition.unit}
        directives.append({"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": [metric]})
    return json.dumps(directives, separators=(",", ":"))
