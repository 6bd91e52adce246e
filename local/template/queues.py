"""From SQS queues, and the mappings that join them to functions, to what the emulator makes and reads."""

import json
from typing import Any

from local.template.errors import Problem, Unresolvable
from local.template.parameters import text
from local.template.pseudo import ACCOUNT, function_name, queue_arn
from local.template.references import QUEUE, queue_name
from local.template.source import Fragment, Source
from local.template.stack import EventSource, Queue, Stack

KIND, MAPPING = QUEUE, "AWS::Lambda::EventSourceMapping"
_QUEUE_ARN = queue_arn("")
# AWS's own: what the template leaves out goes back to it when a queue is made anew from an older one.
_ATTRIBUTES = {
    "DelaySeconds": 0,
    "MaximumMessageSize": 1_048_576,
    "MessageRetentionPeriod": 345_600,
    "ReceiveMessageWaitTimeSeconds": 0,
    "RedrivePolicy": "",
    "VisibilityTimeout": 30,
}
_BATCH, _SMALL_BATCH = 10_000, 10
# So many batches at a time are where Lambda begins.
_CONCURRENCY = 5


def read(name: str, properties: Fragment, *, queues_url: str) -> Queue:
    """Return the queue; how it is encrypted makes no difference here."""
    found = str(queue_name(name, properties))
    attributes = {key: _attribute(properties.get(key, default)) for key, default in _ATTRIBUTES.items()}
    is_fifo = bool(properties.get("FifoQueue"))
    if is_fifo:
        attributes["ContentBasedDeduplication"] = text(properties.get("ContentBasedDeduplication", False))
    return Queue(name=found, url=f"{queues_url}/{ACCOUNT}/{found}", is_fifo=is_fifo, attributes=attributes)


def from_mapping(name: str, properties: Fragment) -> EventSource:
    """Return the mapping of a queue to a function; raises `Unresolvable` for what is not done here."""
    arn = str(properties.get("EventSourceArn", ""))
    if not arn.startswith(_QUEUE_ARN):
        raise Unresolvable(f"its source {arn!r} is not a queue of this stack; only queues are read here")
    if "FilterCriteria" in properties:
        raise Unresolvable("FilterCriteria are not understood here")
    window_s = float(properties.get("MaximumBatchingWindowInSeconds", 0))
    return EventSource(
        name=name,
        function=function_name(str(properties["FunctionName"])),
        queue=arn.removeprefix(_QUEUE_ARN),
        batch_size=_batch_size(int(properties.get("BatchSize", 10)), window_s),
        window_s=window_s,
        concurrency=int(properties.get("ScalingConfig", {}).get("MaximumConcurrency", _CONCURRENCY)),
        reports_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
        is_enabled=text(properties.get("Enabled", True)) == "true",
    )


def unknown_ends(source: Source, stack: Stack) -> list[Problem]:
    """Return a problem for each mapping whose queue or function the stack lacks."""
    queues = {queue.name for queue in stack.queues.values()}
    problems = []
    for one in stack.event_sources:
        if one.function not in stack.functions:
            problems.append(source.problem(one.name, f"its target {one.function!r} is not a function of this stack"))
        if one.queue not in queues:
            problems.append(source.problem(one.name, f"its source {one.queue!r} is not a queue of this stack"))
    return problems


def _attribute(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else text(value)


def _batch_size(size: int, window_s: float) -> int:
    """Return the size if Lambda would take it."""
    most = _BATCH if window_s else _SMALL_BATCH
    if not 1 <= size <= most:
        raise Unresolvable(f"BatchSize is {size}; without MaximumBatchingWindowInSeconds it is 1 to {_SMALL_BATCH}, with it up to {_BATCH}")
    return size
