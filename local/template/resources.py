"""From SQS queues, event source mappings, S3 buckets and EventBridge schedules of a template to what the emulator runs."""

import json
import re
from typing import Any

from local.template.errors import Problem, Unresolvable
from local.template.parameters import scalar_text
from local.template.pseudo import ACCOUNT, function_name, queue_arn
from local.template.references import BUCKET_TYPE, QUEUE_TYPE, bucket_name, queue_name
from local.template.schedule_expression import ScheduleExpression, ScheduleExpressionInvalid
from local.template.source import Fragment, TemplateSource
from local.template.stack import Bucket, EventSource, Notification, Queue, Schedule, Stack

QUEUE_KIND, MAPPING_KIND = QUEUE_TYPE, "AWS::Lambda::EventSourceMapping"
_QUEUE_ARN_PREFIX = queue_arn("")

# AWS's own: what the template leaves out goes back to it when a queue is made anew from an older one.
_DEFAULT_ATTRIBUTES = {
    "DelaySeconds": 0,
    "MaximumMessageSize": 1_048_576,
    "MessageRetentionPeriod": 345_600,
    "ReceiveMessageWaitTimeSeconds": 0,
    "RedrivePolicy": "",
    "VisibilityTimeout": 30,
}

_MAX_BATCH, _MAX_SMALL_BATCH = 10_000, 10
# So many batches at a time are where Lambda begins.
_DEFAULT_CONCURRENCY = 5
BUCKET_KIND = BUCKET_TYPE
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
SCHEDULER_KIND, RULE_KIND = "AWS::Scheduler::Schedule", "AWS::Events::Rule"


def read_queue(name: str, properties: Fragment, *, queues_url: str) -> Queue:
    """Return the queue; how it is encrypted makes no difference here."""
    found = str(queue_name(name, properties))
    attributes = {key: _queue_attribute(properties.get(key, default)) for key, default in _DEFAULT_ATTRIBUTES.items()}
    is_fifo = bool(properties.get("FifoQueue"))
    if is_fifo:
        attributes["ContentBasedDeduplication"] = scalar_text(properties.get("ContentBasedDeduplication", False))
    return Queue(name=found, url=f"{queues_url}/{ACCOUNT}/{found}", is_fifo=is_fifo, attributes=attributes)


def read_event_source(name: str, properties: Fragment) -> EventSource:
    """Return the mapping of a queue to a function; raises `Unresolvable` for what is not done here."""
    arn = str(properties.get("EventSourceArn", ""))
    if not arn.startswith(_QUEUE_ARN_PREFIX):
        raise Unresolvable(f"its source {arn!r} is not a queue of this stack; only queues are read here")
    if "FilterCriteria" in properties:
        raise Unresolvable("FilterCriteria are not understood here")
    window_s = float(properties.get("MaximumBatchingWindowInSeconds", 0))
    return EventSource(
        name=name,
        function=function_name(str(properties["FunctionName"])),
        queue=arn.removeprefix(_QUEUE_ARN_PREFIX),
        batch_size=_batch_size(int(properties.get("BatchSize", 10)), window_s),
        window_s=window_s,
        concurrency=int(properties.get("ScalingConfig", {}).get("MaximumConcurrency", _DEFAULT_CONCURRENCY)),
        reports_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
        is_enabled=scalar_text(properties.get("Enabled", True)) == "true",
    )


def unknown_event_source_ends(source: TemplateSource, stack: Stack) -> list[Problem]:
    """Return a problem for each mapping whose queue or function the stack lacks."""
    queues = {queue.name for queue in stack.queues.values()}
    problems = []
    for one in stack.event_sources:
        if one.function not in stack.functions:
            problems.append(source.problem(one.name, f"its target {one.function!r} is not a function of this stack"))
        if one.queue not in queues:
            problems.append(source.problem(one.name, f"its source {one.queue!r} is not a queue of this stack"))
    return problems


def _queue_attribute(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else scalar_text(value)


def _batch_size(size: int, window_s: float) -> int:
    """Return the size if Lambda would take it."""
    most = _MAX_BATCH if window_s else _MAX_SMALL_BATCH
    if not 1 <= size <= most:
        raise Unresolvable(
            f"BatchSize is {size}; without MaximumBatchingWindowInSeconds it is 1 to {_MAX_SMALL_BATCH}, with it up to {_MAX_BATCH}"
        )
    return size


def read_bucket(name: str, properties: Fragment) -> Bucket:
    """Return the bucket; raises `Unresolvable` for a name that S3 refuses, and for notifications that nobody here would get."""
    found = str(bucket_name(name, properties))
    if not _BUCKET_NAME.fullmatch(found) or ".." in found:
        raise Unresolvable(f"{found!r} is not a name of a bucket: 3 to 63 small letters, digits, hyphens and single dots")
    return Bucket(found, _notifications(properties.get("NotificationConfiguration", {})))


def _notifications(configuration: Fragment) -> tuple[Notification, ...]:
    if others := configuration.keys() - {"QueueConfigurations"}:
        raise Unresolvable(f"{', '.join(sorted(others))}: only queues are told of new objects here")
    return tuple(
        Notification(str(one["Queue"]), str(one["Event"]), _key_prefix(one.get("Filter", {})))
        for one in configuration.get("QueueConfigurations", [])
    )


def _key_prefix(chosen: Fragment) -> str:
    rules = chosen.get("S3Key", {}).get("Rules", [])
    if any(str(rule["Name"]).lower() != "prefix" for rule in rules) or len(rules) > 1:
        raise Unresolvable("a filter of notifications has one rule here, the prefix")
    return str(rules[0]["Value"]) if rules else ""


def read_scheduler_schedule(name: str, properties: Fragment) -> Schedule:
    """Return a schedule of EventBridge Scheduler."""
    target = properties["Target"]
    return _checked_schedule(
        Schedule(
            name=str(properties.get("Name", name)),
            function=function_name(str(target["Arn"])),
            expression=str(properties["ScheduleExpression"]),
            timezone=str(properties.get("ScheduleExpressionTimezone", "UTC")),
            input=target.get("Input"),
            is_enabled=properties.get("State", "ENABLED") == "ENABLED",
            service="aws.scheduler",
        )
    )


def read_rule_schedule(name: str, properties: Fragment) -> Schedule | None:
    """Return the schedule of an EventBridge rule, or None for a rule that waits for events."""
    if "ScheduleExpression" not in properties:
        return None
    target = properties["Targets"][0]
    return _checked_schedule(
        Schedule(
            name=str(properties.get("Name", name)),
            function=function_name(str(target["Arn"])),
            expression=str(properties["ScheduleExpression"]),
            timezone="UTC",
            input=target.get("Input"),
            is_enabled=properties.get("State", "ENABLED") == "ENABLED",
            service="aws.events",
        )
    )


def unknown_schedule_functions(source: TemplateSource, stack: Stack) -> list[Problem]:
    """Return a problem for each schedule whose target is no function of the stack."""
    lost = [schedule for schedule in stack.schedules if schedule.function not in stack.functions]
    return [source.problem(schedule.name, f"its target {schedule.function!r} is not a function of this stack") for schedule in lost]


def _checked_schedule(schedule: Schedule) -> Schedule:
    try:
        ScheduleExpression.parse(schedule.expression, timezone=schedule.timezone)
    except ScheduleExpressionInvalid as error:
        raise Unresolvable(str(error)) from error
    return schedule
