"""Schedule expressions."""

from datetime import UTC, datetime

import pytest

from local.template.schedule_expression import ScheduleExpression, ScheduleExpressionInvalid

MONDAY = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("rate(1 minute)", "2026-11-23T12:01"),
        ("rate(2 hours)", "2026-11-23T14:00"),
        ("rate(1 day)", "2026-11-24T12:00"),
        ("cron(0 3 * * ? *)", "2026-11-24T03:00"),
        ("cron(0/15 * * * ? *)", "2026-11-23T12:15"),
        ("cron(0 9 ? * 1 *)", "2026-11-29T09:00"),
        ("cron(0 9 ? * MON-FRI *)", "2026-11-24T09:00"),
        ("cron(0 9 ? * 6#1 *)", "2026-12-04T09:00"),
        ("cron(0 0 L * ? *)", "2026-11-30T00:00"),
        ("cron(0 0 1 JAN ? 2028)", "2028-01-01T00:00"),
        ("at(2026-12-24T18:00:00)", "2026-12-24T18:00"),
    ],
)
def test_an_expression_is_due_when_eventbridge_says(text: str, due: str) -> None:
    assert ScheduleExpression.parse(text).next_after(MONDAY) == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_a_time_zone_moves_the_hour() -> None:
    berlin = ScheduleExpression.parse("cron(0 3 * * ? *)", timezone="Europe/Berlin")

    assert berlin.next_after(MONDAY) == datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["at(2020-01-01T00:00:00)", "cron(0 0 1 1 ? 2020)"])
def test_what_is_past_is_never_due(text: str) -> None:
    assert ScheduleExpression.parse(text).next_after(MONDAY) is None


@pytest.mark.parametrize(
    "text",
    [
        "rate(1 minutes)",
        "rate(0 minutes)",
        "rate(5 minute)",
        "every day",
        "cron(0 3 * * *)",
        "cron(0 3 * * * *)",
        "cron(0 3 ? * ? *)",
        "cron(61 3 * * ? *)",
        "cron(0 3 ? * 8 *)",
        "cron(0 3 15W * ? *)",
        "at(tomorrow)",
    ],
)
def test_what_eventbridge_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(ScheduleExpressionInvalid):
        ScheduleExpression.parse(text)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ScheduleExpressionInvalid, match="Mars"):
        ScheduleExpression.parse("rate(1 day)", timezone="Mars/Olympus")
