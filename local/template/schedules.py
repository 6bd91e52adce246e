"""From EventBridge's rules and schedules to what runs by the clock."""

from local.schedule import Expression, ExpressionInvalid
from local.template.errors import Problem, Unresolvable
from local.template.pseudo import function_name
from local.template.source import Fragment, Source
from local.template.stack import Schedule, Stack

SCHEDULER, RULE = "AWS::Scheduler::Schedule", "AWS::Events::Rule"


def from_scheduler(name: str, properties: Fragment) -> Schedule:
    """Return a schedule of EventBridge Scheduler."""
    target = properties["Target"]
    return _checked(
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


def from_rule(name: str, properties: Fragment) -> Schedule | None:
    """Return the schedule of an EventBridge rule, or None for a rule that waits for events."""
    if "ScheduleExpression" not in properties:
        return None
    target = properties["Targets"][0]
    return _checked(
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


def unknown_functions(source: Source, stack: Stack) -> list[Problem]:
    """Return a problem for each schedule whose target is no function of the stack."""
    lost = [schedule for schedule in stack.schedules if schedule.function not in stack.functions]
    return [source.problem(schedule.name, f"its target {schedule.function!r} is not a function of this stack") for schedule in lost]


def _checked(schedule: Schedule) -> Schedule:
    try:
        Expression.parse(schedule.expression, timezone=schedule.timezone)
    except ExpressionInvalid as error:
        raise Unresolvable(str(error)) from error
    return schedule
