"""Read SQS queues, event source mappings, S3 buckets and EventBridge schedules from a template."""

import json
import re
from typing import Any

from local.template.errors import Problem, Unresolvable
from local.template.parameters import scalar_text
from local.template.pseudo import ACCOUNT, function_name, queue_arn
from local.template.references import BUCKET_TYPE, QUEUE_TYPE, bucket_name, queue_name
from local.template.schedule_expression import ScheduleExpression, ScheduleExpressionInvalid
from local.template.source import Fragment, TemplateSource
from local.template.stack import BucketNotification, EventSource, Schedule, Stack, StackBucket, StackQueue

QUEUE_KIND = QUEUE_TYPE
MAPPING_KIND = "AWS::Lambda::EventSourceMapping"
_QUEUE_ARN_PREFIX = queue_arn("")

# AWS's defaults. They are always set, so that an attribute removed from the template returns to its default.
_DEFAULT_ATTRIBUTES = {
    "DelaySeconds": 0,
    "MaximumMessageSize": 1_048_576,
    "MessageRetentionPeriod": 345_600,
    "ReceiveMessageWaitTimeSeconds": 0,
    "RedrivePolicy": "",
    "VisibilityTimeout": 30,
}

_MAX_BATCH = 10_000
_MAX_BATCH_WITHOUT_WINDOW = 10
# Lambda starts with five concurrent batches.
_DEFAULT_CONCURRENCY = 5
BUCKET_KIND = BUCKET_TYPE
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
SCHEDULER_KIND = "AWS::Scheduler::Schedule"
RULE_KIND = "AWS::Events::Rule"


def read_queue(name: str, properties: Fragment, *, queues_url: str) -> StackQueue:
    """Return the queue. Encryption settings are ignored. Raises `Unresolvable` for a FIFO queue."""
    actual_name = str(queue_name(name, properties))
    attributes = {key: _queue_attribute(properties.get(key, default)) for key, default in _DEFAULT_ATTRIBUTES.items()}
    if properties.get("FifoQueue"):
        raise Unresolvable("the emulator supports standard queues only, not FIFO queues")
    return StackQueue(name=actual_name, url=f"{queues_url}/{ACCOUNT}/{actual_name}", attributes=attributes)


def read_event_source(name: str, properties: Fragment) -> EventSource:
    """Return the mapping of a queue to a function. Raises `Unresolvable` for features that the emulator lacks."""
    arn = str(properties.get("EventSourceArn", ""))
    if not arn.startswith(_QUEUE_ARN_PREFIX):
        raise Unresolvable(f"its source {arn!r} is not a queue of this stack; the emulator supports SQS queues only")
    if "FilterCriteria" in properties:
        raise Unresolvable("the emulator does not support FilterCriteria")
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
    """Return a problem for each mapping whose queue or function is not in the stack."""
    queues = {queue.name for queue in stack.queues.values()}
    problems = []
    for mapping in stack.event_sources:
        if mapping.function not in stack.functions:
            problems.append(source.problem(mapping.name, f"its target {mapping.function!r} is not a function of this stack"))
        if mapping.queue not in queues:
            problems.append(source.problem(mapping.name, f"its source {mapping.queue!r} is not a queue of this stack"))
    return problems


def _queue_attribute(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else scalar_text(value)


def _batch_size(size: int, window_s: float) -> int:
    """Return the size if Lambda accepts it, else raise `Unresolvable`."""
    limit = _MAX_BATCH if window_s else _MAX_BATCH_WITHOUT_WINDOW
    if not 1 <= size <= limit:
        raise Unresolvable(
            f"BatchSize is {size}; without MaximumBatchingWindowInSeconds it must be 1 to "
            f"{_MAX_BATCH_WITHOUT_WINDOW}, with it up to {_MAX_BATCH}"
        )
    return size


def read_bucket(name: str, properties: Fragment) -> StackBucket:
    """Return the bucket. Raises `Unresolvable` for a name that S3 rejects and for notifications to anything but queues."""
    actual_name = str(bucket_name(name, properties))
    if not _BUCKET_NAME.fullmatch(actual_name) or ".." in actual_name:
        raise Unresolvable(f"{actual_name!r} is not a bucket name: use 3 to 63 lowercase letters, digits, hyphens and single dots")
    return StackBucket(actual_name, _notifications(properties.get("NotificationConfiguration", {})))


def _notifications(configuration: Fragment) -> tuple[BucketNotification, ...]:
    if others := configuration.keys() - {"QueueConfigurations"}:
        raise Unresolvable(f"{', '.join(sorted(others))}: the emulator notifies queues only")
    return tuple(
        BucketNotification(str(entry["Queue"]), str(entry["Event"]), _key_prefix(entry.get("Filter", {})))
        for entry in configuration.get("QueueConfigurations", [])
    )


def _key_prefix(key_filter: Fragment) -> str:
    rules = key_filter.get("S3Key", {}).get("Rules", [])
    if any(str(rule["Name"]).lower() != "prefix" for rule in rules) or len(rules) > 1:
        raise Unresolvable("the emulator supports notification filters with a single prefix rule only")
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
    """Return the schedule of an EventBridge rule, or None for a rule that matches events."""
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
    """Return a problem for each schedule whose target is not a function of the stack."""
    orphans = [schedule for schedule in stack.schedules if schedule.function not in stack.functions]
    return [source.problem(schedule.name, f"its target {schedule.function!r} is not a function of this stack") for schedule in orphans]


def _checked_schedule(schedule: Schedule) -> Schedule:
    try:
        ScheduleExpression.parse(schedule.expression, timezone=schedule.timezone)
    except ScheduleExpressionInvalid as error:
        raise Unresolvable(str(error)) from error
    return schedule
